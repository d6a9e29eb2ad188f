/* SPDX-License-Identifier: Apache-2.0 */
/* login_pop3_fuzz.c - POP3 before sign-in */
#include "login/pop3.h"
#include "tests/fuzz/login_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    login_talk(data, size, pop3_talk);
    return 0;
}
