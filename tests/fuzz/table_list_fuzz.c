/* SPDX-License-Identifier: Apache-2.0 */
/* table_list_fuzz.c - lists of tables and match lists as main.cf holds them, and what is looked up
 * in them */
#include <stdlib.h>

#include "base/mem.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(const char *list, struct span text)
{
    for (int kind = MATCH_DOMAIN; kind <= MATCH_ADDRESS; kind++) {
        _cleanup_(match_list_free_ptr_) struct match_list *l = NULL;
        _cleanup_(str_free) struct str err = STR_INIT;

        if (match_list_open(list, (enum match_kind)kind, &l, &err) < 0)
            continue;
        match_list_has(l, text);
        match_list_has_client(l, text, text);
    }
}

static void look_up(const char *list, struct span address)
{
    _cleanup_(maps_free_ptr_) struct maps *m = NULL;
    _cleanup_(str_free) struct str err = STR_INIT, value = STR_INIT, ext = STR_INIT;

    if (maps_open(list, &m, &err) == 0)
        maps_get_address(m, address, "+-",
                         MAPS_FULL | MAPS_LOCALPART | MAPS_AT_DOMAIN | MAPS_DOMAIN, &value, &ext);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_make(data, size);
    struct span key = span_cut(&rest, '\n');
    _cleanup_free_ char *list = mem_dup_span(rest);

    look_up("inline:{a@b=1, a=2, @b=3, b=4, .c=5, {\"a b\"@c=6}}", key);
    /* Other types would have the fuzzer read the machine's files and ask its services. */
    if (span_starts(rest, span_of("inline:")) && span_chr(span_from(rest, 7), ':') < 0) {
        look_up(list, key);
        match(list, key);
    } else if (span_chr(rest, ':') < 0 && span_chr(rest, '/') < 0) {
        match(list, key);
    }
    return 0;
}
