/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand.h - random bytes from the kernel (getrandom), buffered per process
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *buf, size_t len);    /* fit for keys and tickets */
uint64_t rand_below(uint64_t n);           /* uniform in [0, n), n > 0 */

#endif
