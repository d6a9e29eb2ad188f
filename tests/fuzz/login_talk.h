/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_talk.h - a client's bytes against the commands before sign-in, with an auth that decides by chance
 */
#include "login/login.h"

/* Let talk() serve a connection on which `size` bytes came, then the end. The first byte says what auth answers and
 * whether TLS is there. */
void login_talk(const uint8_t *data, size_t size, void (*talk)(struct login *l));
