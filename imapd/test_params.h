/* SPDX-License-Identifier: Apache-2.0 */
/* test_params.h - limits of the sessions in tests: small, so that a test reaches them */
#ifndef IMAPD_TEST_PARAMS_H
#define IMAPD_TEST_PARAMS_H

#include "conf/conf.h"

/* What every test has; line, literal, bad command, depth and message limits are its own. */
#define TEST_PARAMS                                                                                                    \
    .imap_timeout = 60, .imap_idle_notify_interval = 60, .imap_append_limit = 3, .imap_fetch_item_limit = 50,          \
    .imap_list_pattern_limit = 5, .imap_progress_interval = 10, .imap_search_key_limit = 100,                          \
    .imap_search_time_limit = 60, .imap_id_send = "name Postern", .header_address_token_limit = 100,                   \
    .imap_sort_criteria_limit = 5, .imap_subscription_limit = 10, .imap_tag_limit = 50,                                \
    .mail_max_keyword_length = 100, .mime_nesting_limit = 10, .mime_part_limit = 100

#endif
