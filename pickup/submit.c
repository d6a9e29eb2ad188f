/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.c - what pickup makes of a local submission
 *
 * Runs in: pickup. A submit may come from any user of the machine: what it says of itself is
 * replaced.
 */
#include "base/log.h"
#include "pickup/pickup.h"

/* Flags that the client may set. */
#define CLIENT_FLAGS (SUBMIT_8BIT | SUBMIT_SMTPUTF8 | SUBMIT_EXTRACT)

void submit_sanitize(struct submit *s, uid_t uid)
{
    s->origin = SUBMIT_LOCAL;
    s->flags = (s->flags & CLIENT_FLAGS) | SUBMIT_REWRITE | SUBMIT_FILTER;
    s->uid = uid;
    s->n_milters = 0;
    s->client_port = 0;
    s->client_addr[0] = s->proto[0] = s->sasl_method[0] = '\0';
    snprintf(s->service, sizeof s->service, "pickup");
    str_reset(&s->client_name);
    str_reset(&s->helo);
    str_reset(&s->tls_info);
    str_reset(&s->sasl_username);
    str_reset(&s->sasl_sender);
    str_reset(&s->orig_queue_id);
    str_reset(&s->content_filter);
    str_reset(&s->prepend);
    s->priority = 0;
}

void submit_log(const struct submit *s, const struct submit_result *res)
{
    _cleanup_(str_free) struct str sender = STR_INIT;

    str_add_escaped(&sender, str_span(&s->sender), 256, STR_UTF8);
    log_info("%s: uid=%llu from=<%s>", res->queue_id, (unsigned long long)s->uid,
             str_cstr(&sender));
}

void submit_result_temporary(struct submit_result *res, const char *text)
{
    *res = (struct submit_result){.status = SUBMIT_TEMPORARY, .dsn = "4.3.0"};
    snprintf(res->text, sizeof res->text, "%s", text);
}
