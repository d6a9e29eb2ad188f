/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.h - a message as bytes: between a struct and the body of a frame (for ipc.c, tests and fuzzing)
 */
#ifndef IPC_SHAPE_H
#define IPC_SHAPE_H

#include "ipc/ipc.h"

/* Longest type or field name, in bytes. */
#define IPC_NAME_MAX 64

/*
 * Append "type NUL { name NUL u32 length bytes } ..." to out. 0, or -EMSGSIZE when a member is out
 * of the shape's range (out is then as before).
 */
int ipc_encode(const struct ipc_shape *shape, const void *msg, struct str *out);

/* Take the type off the front of a body. 0 or -EPROTO. */
int ipc_decode_type(struct span *body, struct span *ret);

/*
 * The fields after the type. 0 or -EPROTO (a field missing, twice, unknown or out of range;
 * *msg is then undefined but its DYN members are valid). DYN members must be initialised.
 */
int ipc_decode_fields(struct span fields, const struct ipc_shape *shape, void *msg);

#endif
