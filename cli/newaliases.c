/* SPDX-License-Identifier: Apache-2.0 */
/*
 * newaliases.c - rebuild the databases that alias_database names
 *
 * Takes -c DIR (or -C DIR, as sendmail does) and nothing else.
 *
 * Runs in: a terminal or a script, as the administrator.
 */
#include <unistd.h>

#include "base/log.h"
#include "cli/map_tool.h"

static const struct map_tool newaliases = {
    .program = "newaliases",
    .usage = "usage: newaliases [-c config_dir]",
    .source = TABLE_SOURCE_ALIASES,
    .separator = ":\t",
};

int main(int argc, char **argv)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(str_free) struct str list = STR_INIT, err = STR_INIT;
    struct map_options o = { .action = MAP_BUILD };
    int c;

    log_to_stderr(newaliases.program);
    while ((c = getopt(argc, argv, "c:C:v")) != -1) {
        if (c == '?')
            log_fatal("%s", newaliases.usage);
        if (c != 'v')
            o.config_dir = optarg;
    }
    if (optind < argc)
        log_fatal("%s", newaliases.usage);
    if (conf_load(o.config_dir, &conf, &err) < 0 ||
        conf_get(conf, "alias_database", &list, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    map_tool_build_list(&newaliases, &o, conf, str_cstr(&list));
    return 0;
}
