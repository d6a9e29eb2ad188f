/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postalias.c - make, ask and change alias databases; as postmap, but for sources in the
 * format of aliases(5)
 *
 * Runs in: a terminal or a script, as the administrator.
 */
#include "cli/map_tool.h"

int main(int argc, char **argv)
{
    static const struct map_tool postalias = {
        .program = "postalias",
        .usage = "usage: postalias [-fiNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
        .source = TABLE_SOURCE_ALIASES,
        .separator = ":\t",
    };

    return map_tool_main(&postalias, argc, argv);
}
