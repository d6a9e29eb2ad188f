/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own.h - ownership by attribute: what a variable owns goes when it goes out of scope
 *
 * Initialise at the declaration: the destructor runs on every path. Handing
 * over is a visible act: TAKE_PTR, TAKE_FD.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stdlib.h>
#include <unistd.h>

/* fn takes a pointer to the variable */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void own_free_(void *p)
{
    free(*(void **)p);
}

static inline void own_close_(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_free_  _cleanup_(own_free_)
#define _cleanup_close_ _cleanup_(own_close_)

/* Define `name_ptr_`, a destructor of a pointer variable, from `void fn(type *)`, which takes NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##_ptr_(type **p)                                                         \
    {                                                                                              \
        fn(*p);                                                                                    \
    }                                                                                              \
    struct base_own_semicolon_

/* Move a value out of its owner, which then owns nothing. */
#define TAKE(var, none)                                                                            \
    ({                                                                                             \
        __auto_type _taken = (var);                                                                \
        (var) = (none);                                                                            \
        _taken;                                                                                    \
    })
#define TAKE_PTR(p) TAKE(p, NULL)
#define TAKE_FD(fd) TAKE(fd, -1)

#endif
