// OpenSSL's objects with an owner. Private to net/tls*.cc: the only header that includes OpenSSL.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

#include "net/tls.h"

namespace weft::net {

struct Release {
    void operator()(BIO* object) const { BIO_free(object); }
    void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
    void operator()(GENERAL_NAMES* object) const { GENERAL_NAMES_free(object); }
    void operator()(SSL* object) const { SSL_free(object); }
    void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    void operator()(X509* object) const { X509_free(object); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

struct TlsContext::Library {
    Owned<SSL_CTX> context;
    explicit Library(Owned<SSL_CTX> made) : context(std::move(made)) {}
};

}  // namespace weft::net
