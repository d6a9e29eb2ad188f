/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c - long work on memory that asks now and then whether somebody still waits for it
 */
#include "base/pace.h"

bool pace_ask(struct pace *p)
{
    if (p->error == 0)
        p->error = p->ask(p->arg);
    p->left = PACE_WORK;
    return p->error == 0;
}
