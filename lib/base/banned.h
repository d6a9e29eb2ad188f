/* SPDX-License-Identifier: Apache-2.0 */
/*
 * banned.h - functions that hide a length, a range or a shared buffer; calling one does not compile
 *
 * Included before everything else by the build. System headers come first, so
 * that their own declarations are not hit.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol strncpy strncat

#endif
