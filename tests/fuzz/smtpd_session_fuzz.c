/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd_session_fuzz.c - a client's bytes against a whole session, without other services
 *
 * Messages are read to their end and then answered with 451, since there is no cleanup.
 */
#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/ipc.h"
#include "smtpd/anvil_link.h"
#include "smtpd/smtpd.h"

/* The replies must fit into the socket's buffer: nobody reads them. */
enum { INPUT_MAX = 8192 };

static struct service service;
static struct server server;
static struct params *settings_of_service;

static struct params *settings(struct conf **ret)
{
    static const char *const overrides[] = {
        "myhostname=mx.example.test", "mydestination=example.test", "local_recipient_maps=", "alias_maps=",
        "mynetworks=192.0.2.0/24", "smtpd_peername_lookup=no", "smtpd_error_sleep_time=0",
        "smtpd_sasl_auth_enable=yes", "message_size_limit=4000", "line_length_limit=1000",
    };
    _cleanup_(str_free) struct str err = STR_INIT;
    struct params *params = NULL;

    *ret = conf_new("/");
    for (size_t i = 0; i < ARRAY_LEN(overrides); i++)
        if (conf_override(*ret, span_of(overrides[i]), &err) < 0)
            log_fatal("%s", str_cstr(&err));
    if (conf_params(*ret, &params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    return params;
}

static void start(void)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct conf *conf;
    struct params *params = settings_of_service = settings(&conf);

    server = (struct server){ .conf = conf, .params = params, .service = "smtp", .state = &service };
    service = (struct service){ .server = &server, .params = params, .reject_footer = "",
                                .restrictions = { .conf = conf, .params = params } };
    if (router_open(conf, params, &service.router, &err) < 0 ||
        match_list_open(params->mynetworks, MATCH_HOST_ADDR, &service.mynetworks, &err) < 0 ||
        match_list_open("", MATCH_HOST_ADDR, &service.limit_exceptions, &err) < 0 ||
        match_list_open("", MATCH_HOST_ADDR, &service.backup_networks, &err) < 0 ||
        match_list_open("example.test", MATCH_DOMAIN_PARENTS, &service.flush_domains, &err) < 0 ||
        match_list_open(params->mynetworks, MATCH_HOST_ADDR, &service.xclient_hosts, &err) < 0 ||
        match_list_open(params->mynetworks, MATCH_HOST_ADDR, &service.xforward_hosts, &err) < 0 ||
        maps_open("", &service.sender_logins, &err) < 0 || maps_open("", &service.rbl_replies, &err) < 0 ||
        restrictions_open(&service.restrictions, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    ipc_set_directory("/nonexistent");
    service.cleanup = ipc_pool_new("cleanup", 0, 1);
    service.verify = ipc_pool_new("verify", 0, 1);
    service.anvil = anvil_link_new();
    service.auth = ipc_pool_new("auth", 0, 1);
    log_to_fd("smtpd", open("/dev/null", O_WRONLY | O_CLOEXEC));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer peer = { .is_unix = false };
    int pair[2];

    if (!service.router)
        start();
    if (size < 1 || size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    service.bare_newline = data[0] % (BARE_NEWLINE_REJECT + 1);
    settings_of_service->smtpd_lmtp_mode = data[0] & 8;
    ssize_t n = write(pair[0], data + 1, size - 1);
    (void)n;
    shutdown(pair[0], SHUT_WR);
    socket_addr_parse(span_of(data[0] & 16 ? "192.0.2.9" : "203.0.113.9"), 4711, &peer.remote);
    socket_addr_parse(span_of("192.0.2.1"), 25, &peer.local);
    smtpd_session(&server, stream_new(pair[1]), &peer);
    close(pair[0]);
    return 0;
}
