/* SPDX-License-Identifier: Apache-2.0 */
/* login_imap_fuzz.c - IMAP before sign-in */
#include "login/imap.h"
#include "tests/fuzz/login_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    login_talk(data, size, imap_talk);
    return 0;
}
