/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_repair.h - put a queue in order that was copied, restored, or left by a crash
 */
#ifndef CLI_QUEUE_REPAIR_H
#define CLI_QUEUE_REPAIR_H

#include "cli/queue_client.h"

enum queue_repair {
    REPAIR_NAMES = 1 << 0,  /* files that are no messages go to corrupt/ */
    REPAIR_PURGE = 1 << 1,  /* unfinished files older than a day are removed */
};

/*
 * Do what the bits say, with a line for each file touched. Names are repaired only while the suite is down; a
 * running qmgr looks after its own directories.
 */
void queue_repair(const struct params *p, const struct queue_client *c, unsigned what);

#endif
