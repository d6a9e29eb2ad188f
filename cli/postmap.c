/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postmap.c - make, ask and change lookup tables
 *
 *     postmap [type:]file ...          make the database of each source file
 *     postmap -q KEY [type:]file ...   print the value; status 1 when no table has the key
 *     postmap -F [type:]file ...       values name files, whose contents are stored (tls_server_sni_maps)
 *     postmap -q - , -d KEY, -s, -i    keys from stdin; delete; list; add pairs from stdin
 *
 * Runs in: a terminal or a script, as the administrator.
 */
#include "cli/map_tool.h"

int main(int argc, char **argv)
{
    static const struct map_tool postmap = {
        .program = "postmap",
        .usage = "usage: postmap [-fFiNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
        .source = TABLE_SOURCE_MAP,
        .separator = "\t",
    };

    return map_tool_main(&postmap, argc, argv);
}
