/* SPDX-License-Identifier: Apache-2.0 */
/* password_test.c - schemes of stored passwords */
#include "sasl/password.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_each_scheme_takes_the_right_password_only(void **state)
{
    static const struct {
        const char *stored, *password;
        int wanted;
    } cases[] = {
        { "{PLAIN}secret", "secret", 1 },
        { "{plain}secret", "Secret", 0 },
        { "{PLAIN}secret", "secret ", 0 },
        { "{PLAIN}secret", "", 0 },
        { "{PLAIN}", "", -EINVAL },
        { "", "", -EINVAL },
        { "{SHA512-CRYPT}$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
          "password", 1 },
        { "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
          "passwore", 0 },
        { "{ARGON2ID}$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$OJGm81mZwBVLv8I/tUXNRHmFEmPmxB3FlOaNUJo7hf8", "x", 0 },
        { "{ARGON2ID}$argon2id$v=19$m=64", "x", -EINVAL },
        { "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "test", 1 },
        { "{SHA1.HEX}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "test", 1 },
        { "{SHA}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "test", 1 },
        { "{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "test", 1 },
        { "{SHA256.B64}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg", "test", 1 },
        { "{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "tesT", 0 },
        { "{PLAIN-MD5}098f6bcd4621d373cade4e832627b4f6", "test", 1 },
        { "{LDAP-MD5}CY9rzUYh03PK3k6DJie09g==", "test", 1 },
        { "{SSHA}s+SY/2L5X6ORVNwcV2hHSOMbYJBzYWx0", "test", 0 },
        { "{SSHA}c2hvcnQ=", "test", -EINVAL },
        { "{SHA}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "test", -EINVAL },
        { "{PBKDF2}$1$salt$2$ea6c014dc72d6f8ffd22f0c7f8ec1c3d8e5d5d6b", "password", 0 },
        { "{PBKDF2}$1$salt$2$ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", "password", 1 }, /* RFC 6070 section 2 */
        { "{PBKDF2}$1$salt$0$ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", "password", -EINVAL },
        { "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
          "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", "pencil", 1 }, /* RFC 7677 section 3 */
        { "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
          "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", "pencils", 0 },
        { "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==", "pencil", -EINVAL },
        { "{SCRAM-SHA-256}99999999,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d,WG5d", "pencil", -EINVAL },
        { "{MD5-CRYPT}$1$saltsalt$tTWg0JeO/sYmHvtKmZE8c.", "test", 1 },
        { "{MD5-CRYPT}$1$saltsalt$tTWg0JeO/sYmHvtKmZE8c.", "tesT", 0 },
        { "{SHA256-CRYPT}$5$saltsalt$q6kNPzk9GPb3dpYKO2TUS45z2kiVxsUVz7eWVJcih.0", "test", 1 },
        { "{SHA256-CRYPT}$5$saltsalt$q6kNPzk9GPb3dpYKO2TUS45z2kiVxsUVz7eWVJcih.0", "tesT", 0 },
        { "{SHA256-CRYPT}$5$rounds=1000$saltsalt$xWj7NRmRWGIB0gHHXlbLRiYBNDQRLp1YE33ZV25CLy/", "test", 1 },
        { "{SHA256-CRYPT}$5$rounds=1000$saltsalt$xWj7NRmRWGIB0gHHXlbLRiYBNDQRLp1YE33ZV25CLy/", "tesT", 0 },
        { "{SHA512-CRYPT}"
          "$6$rounds=1000$saltsalt$Te1vwTltwwzaPWfs3cfy/X4FqERvA.6otOfZ17oeoO4EtybQ/TDjqSkN7ryyM2zfP19AF5pdFzZZ63gIt38sZ/", "test", 1 },
        { "{SHA512-CRYPT}"
          "$6$rounds=1000$saltsalt$Te1vwTltwwzaPWfs3cfy/X4FqERvA.6otOfZ17oeoO4EtybQ/TDjqSkN7ryyM2zfP19AF5pdFzZZ63gIt38sZ/", "tesT", 0 },
        { "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "test", 1 },
        { "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "tesT", 0 },
        { "{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "test", 1 },
        { "{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "tesT", 0 },
        { "{DES-CRYPT}abgOeLfPimXQo", "test", 1 },
        { "{DES-CRYPT}abgOeLfPimXQo", "tesT", 0 },
        { "{CRYPT}$y$j75$saltsalt$IKUycTGsp/26fViG1D3x4Zq3aZro94uxR9TF8Hv.lE7", "test", 1 },
        { "{CRYPT}$y$j75$saltsalt$IKUycTGsp/26fViG1D3x4Zq3aZro94uxR9TF8Hv.lE7", "tesT", 0 },
        { "{CRYPT}abgOeLfPimXQo", "test", 1 },
        { "{CRYPT}abgOeLfPimXQo", "tesT", 0 },
        { "{CRYPT}$1$saltsalt$tTWg0JeO/sYmHvtKmZE8c.", "test", 1 },
        { "{CRYPT}$1$saltsalt$tTWg0JeO/sYmHvtKmZE8c.", "tesT", 0 },
        { "{CRYPT}$2y$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "test", 1 },
        { "{CRYPT}$2y$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "tesT", 0 },
        { "{SMD5}MVJAxhIYpKhh7JSRZqhe8HNhbHQ=", "test", 1 },
        { "{SMD5}MVJAxhIYpKhh7JSRZqhe8HNhbHQ=", "tesT", 0 },
        { "{SSHA}9DgilxbKtDVpSW86NjCzcnUkuBtzYWx0", "test", 1 },
        { "{SSHA}9DgilxbKtDVpSW86NjCzcnUkuBtzYWx0", "tesT", 0 },
        { "{SSHA256}Tt8H7clbL9y8ryN4/RLYrCEsKqbjJsWcPmKb4wOdZDJzYWx0", "test", 1 },
        { "{SSHA256}Tt8H7clbL9y8ryN4/RLYrCEsKqbjJsWcPmKb4wOdZDJzYWx0", "tesT", 0 },
        { "{SSHA512}"
          "bIOOk04/7vrmz6U68RN11JVPhcb17YiMAs14BqcWltHLRJ8r546ebqMBqVyB8orYdm865YL5vqrDPH3Ct7qRh3NhbHQ=", "test", 1 },
        { "{SSHA512}"
          "bIOOk04/7vrmz6U68RN11JVPhcb17YiMAs14BqcWltHLRJ8r546ebqMBqVyB8orYdm865YL5vqrDPH3Ct7qRh3NhbHQ=", "tesT", 0 },
        { "{SSHA.HEX}f438229716cab43569496f3a3630b3727524b81b73616c74", "test", 1 },
        { "{SSHA.HEX}f438229716cab43569496f3a3630b3727524b81b73616c74", "tesT", 0 },
        { "{SHA512}"
          "7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==", "test", 1 },
        { "{SHA512}"
          "7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==", "tesT", 0 },
        { "{ARGON2ID}"
          "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$fIqe4mn/YfBUNh7Fujn3CR85YD5CyDX/NAqfXx2xWVw", "test", 1 },
        { "{ARGON2ID}"
          "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$fIqe4mn/YfBUNh7Fujn3CR85YD5CyDX/NAqfXx2xWVw", "tesT", 0 },
        { "{ARGON2I}"
          "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$+DrZc0rW2iMHkbgYQqvgwAl6tfvZbF1A7e08M4rLltU", "test", 1 },
        { "{ARGON2I}"
          "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$+DrZc0rW2iMHkbgYQqvgwAl6tfvZbF1A7e08M4rLltU", "tesT", 0 },
        { "{NO-SUCH}x", "x", -EINVAL },
        { "{PLAIN", "x", -EINVAL },
        { "{CRYPT}!locked", "x", -EINVAL },
        { "{CRYPT}*", "*", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = password_verify(span_of(cases[i].stored), span_of(cases[i].password));
        if (r != cases[i].wanted)
            fail_msg("%s / %s: %d", cases[i].stored, cases[i].password, r);
    }
}

static const char *const new_schemes[] = { "CRYPT",    "SHA512-CRYPT",  "BLF-CRYPT",
                                           "ARGON2ID", "SCRAM-SHA-256", "SCRAM-SHA-1" };

static void test_what_is_made_is_verified_and_never_the_same_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof new_schemes / sizeof new_schemes[0]; i++) {
        _cleanup_(str_free) struct str a = STR_INIT, b = STR_INIT;
        assert_int_equal(password_hash(new_schemes[i], span_of("abc"), &a), 0);
        assert_int_equal(password_hash(new_schemes[i], span_of("abc"), &b), 0);
        assert_string_not_equal(str_cstr(&a), str_cstr(&b));
        assert_int_equal(password_verify(str_span(&a), span_of("abc")), 1);
        assert_int_equal(password_verify(str_span(&a), span_of("abd")), 0);
        assert_int_equal(password_verify(str_span(&a), span_make("abc\0def", 7)), 0);
        assert_false(password_is_weak(str_span(&a)));
    }
    _cleanup_(str_free) struct str none = STR_INIT;
    assert_int_equal(password_hash("PLAIN", span_of("abc"), &none), -ENOTSUP);
}

static void test_a_password_of_huge_length_never_matches(void **state)
{
    _cleanup_(str_free) struct str longer = STR_INIT;

    (void)state;
    for (int i = 0; i < 1000; i++)
        str_add_str(&longer, "abc");
    for (size_t i = 0; i < sizeof new_schemes / sizeof new_schemes[0]; i++) {
        _cleanup_(str_free) struct str hash = STR_INIT, none = STR_INIT;
        assert_int_equal(password_hash(new_schemes[i], span_of("abc"), &hash), 0);
        assert_int_equal(password_verify(str_span(&hash), str_span(&longer)), 0);
        assert_int_equal(password_hash(new_schemes[i], str_span(&longer), &none), -EINVAL);
    }
}

static void test_what_a_thief_reads_quickly_is_weak(void **state)
{
    static const struct {
        const char *stored;
        bool weak;
    } cases[] = {
        { "{PLAIN}secret", true },   { "{SSHA512}xx", true },          { "{MD5-CRYPT}$1$a$b", true },
        { "{CRYPT}$1$a$b", true },   { "{CRYPT}ab0123456789a", true }, { "ab0123456789a", true },
        { "{CRYPT}$y$j9T$x", false }, { "$6$salt$hash", false },        { "{PBKDF2}$1$s$5000$aa", false },
        { "{NO-SUCH}x", false },     { "{PLAIN", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (password_is_weak(span_of(cases[i].stored)) != cases[i].weak)
            fail_msg("%s", cases[i].stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_scheme_takes_the_right_password_only),
        cmocka_unit_test(test_what_is_made_is_verified_and_never_the_same_twice),
        cmocka_unit_test(test_a_password_of_huge_length_never_matches),
        cmocka_unit_test(test_what_a_thief_reads_quickly_is_weak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
