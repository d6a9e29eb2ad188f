/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idna.c - A-labels by libidn2
 *
 * Non-transitional processing, as IDNA 2008 and every browser do it. Names are
 * cut to the DNS's limit before the library sees them.
 *
 * Runs in: every program with addresses (input is hostile). Logs nothing.
 */
#include "mail/idna.h"

#include <errno.h>
#include <idn2.h>

#include "base/chars.h"
#include "mail/address.h"

#define DOMAIN_MAX 1024 /* UTF-8 bytes; at most 253 remain in A-labels, which libidn2 checks */

bool idna_is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (char_is(text.ptr[i], CHAR_HIGH))
            return false;
    return true;
}

int idna_to_ascii(struct span domain, struct str *ret)
{
    str_reset(ret);
    if (domain.len == 0 || domain.len > DOMAIN_MAX || memchr(domain.ptr, 0, domain.len))
        return -EINVAL;
    if (idna_is_ascii(domain)) {
        str_add_lower(ret, domain);
        return 0;
    }

    char name[DOMAIN_MAX + 1];
    char *ascii = NULL;

    memcpy(name, domain.ptr, domain.len);
    name[domain.len] = '\0';
    if (idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return -EINVAL;
    str_add_str(ret, ascii);
    idn2_free(ascii);
    if (!address_domain_valid(str_span(ret))) { /* the library lets empty labels pass */
        str_reset(ret);
        return -EINVAL;
    }
    return 0;
}
