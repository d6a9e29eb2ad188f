/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_tool.h - what postmap, postalias and newaliases share
 */
#ifndef CLI_MAP_TOOL_H
#define CLI_MAP_TOOL_H

#include <stdbool.h>

#include "conf/conf.h"
#include "table/build.h"

struct map_tool {
    const char *program;            /* "postmap", for messages */
    const char *usage;
    enum table_source source;
    const char *separator;          /* between key and value in lists: "\t", ":\t" */
};

enum map_action { MAP_BUILD, MAP_QUERY, MAP_DELETE, MAP_LIST };

struct map_options {
    enum map_action action;
    const char *config_dir;         /* NULL: $MAIL_CONFIG or the built-in one */
    const char *key;                /* query, delete; "-": from standard input */
    unsigned build_flags;
    bool from_stdin;                /* -i */
    bool keep_root;                 /* -o */
};

/* Parse the options and do what they say; the exit status. */
int map_tool_main(const struct map_tool *tool, int argc, char **argv);

/* Rebuild each table of a list such as alias_database. An element without a type gets
 * default_database_type. Ends the program on failure. */
void map_tool_build_list(const struct map_tool *tool, const struct map_options *o,
                         const struct conf *conf, const char *list);

#endif
