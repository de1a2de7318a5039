// For tests: an authority, and certificates that it signs. Keys are made anew each time (EC P-256).
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>

#include "base/assert.h"
#include "net/tls.h"
#include "net/tls_library.h"

namespace weft::net {

struct TestCertificate {
    std::string certificate;
    std::string key;
};

struct TestSubject {
    std::string common_name = "somebody";
    std::string alternative;  // as in openssl.cnf: "DNS:a.example,IP:127.0.0.1,URI:urn:x"
    std::string usage;        // "clientAuth", "serverAuth"; empty: any
    int64_t from_s = 1'600'000'000;
    int64_t until_s = 4'000'000'000;
};

class TestAuthority {
public:
    explicit TestAuthority(const std::string& name = "test authority")
        : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)),
          certificate_(make({.common_name = name}, key_.get(), true)) {}

    [[nodiscard]] std::string pem() const { return pem_of(certificate_.get()); }
    TestCertificate issue(const TestSubject& subject) {
        const Owned<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
        const Owned<X509> certificate = make(subject, key.get(), false);
        return {.certificate = pem_of(certificate.get()), .key = pem_of(key.get())};
    }
    // What a side needs whose peer this authority vouches for.
    [[nodiscard]] TlsFiles files(const TestCertificate& own) const {
        return {.certificate = {"CERT", own.certificate}, .key = {"KEY", own.key}, .authority = {"CA", pem()}};
    }

private:
    static constexpr const char* curve = "P-256";
    Owned<X509> make(const TestSubject& subject, EVP_PKEY* key, bool is_authority) {
        Owned<X509> made(X509_new());
        X509* const certificate = made.get();
        X509_set_version(certificate, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_);
        ASN1_TIME_set(X509_getm_notBefore(certificate), subject.from_s);
        ASN1_TIME_set(X509_getm_notAfter(certificate), subject.until_s);
        X509_set_pubkey(certificate, key);
        if (!subject.common_name.empty()) {
            X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(subject.common_name.data()),
                                       static_cast<int>(subject.common_name.size()), -1, 0);
        }
        X509_set_issuer_name(certificate, X509_get_subject_name(is_authority ? certificate : certificate_.get()));
        add(certificate, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (!subject.alternative.empty()) add(certificate, NID_subject_alt_name, subject.alternative);
        if (!subject.usage.empty()) add(certificate, NID_ext_key_usage, subject.usage);
        WEFT_ASSERT(X509_sign(certificate, key_.get(), EVP_sha256()) > 0);
        return made;
    }
    static void add(X509* certificate, int kind, const std::string& value) {
        X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
        WEFT_ASSERT(extension != nullptr);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    template <class T>
    static std::string pem_of(T* object) {
        const Owned<BIO> text(BIO_new(BIO_s_mem()));
        if constexpr (std::is_same_v<T, X509>) {
            PEM_write_bio_X509(text.get(), object);
        } else {
            PEM_write_bio_PrivateKey(text.get(), object, nullptr, nullptr, 0, nullptr, nullptr);
        }
        std::string pem(BIO_ctrl_pending(text.get()), '\0');
        BIO_read(text.get(), pem.data(), static_cast<int>(pem.size()));
        return pem;
    }

    const Owned<EVP_PKEY> key_;
    int serial_ = 0;
    const Owned<X509> certificate_;
};

}  // namespace weft::net
