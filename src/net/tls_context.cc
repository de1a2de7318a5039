#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls.h"
#include "net/tls_library.h"

namespace weft::net {

namespace {

constexpr const char* how_to = "docs/remote-control.md says how to make one";
constexpr size_t certificates_max = 64;  // of one file
constexpr long peer_certificates_bytes_max = 64 << 10;
constexpr int chain_depth_max = 4;

// There is nobody to ask for a passphrase, and the library must not ask the terminal.
int refuse_passphrase(char*, int, int, void* was_asked) {
    *static_cast<bool*>(was_asked) = true;
    return -1;
}

std::unexpected<Error> fail_file(const PemFile& file, std::string_view what) {
    ERR_clear_error();
    return fail(Errc::invalid_argument, fmt::format("{}: {}", file.name, what));
}

Owned<BIO> open_text(const PemFile& file) {
    return Owned<BIO>(BIO_new_mem_buf(file.text.data(), static_cast<int>(file.text.size())));
}

std::string text_of_time(const ASN1_TIME* time) {
    tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min);
}

Result<void> check_dates(const PemFile& file, X509* certificate, env::TimeNs wall) {
    auto now = static_cast<time_t>(wall / env::ns_per_s);
    const ASN1_TIME* const until = X509_get0_notAfter(certificate);
    if (X509_cmp_time(until, &now) <= 0) {
        return fail_file(file, fmt::format("the certificate expired at {}; {}", text_of_time(until), how_to));
    }
    const ASN1_TIME* const from = X509_get0_notBefore(certificate);
    if (X509_cmp_time(from, &now) > 0) {
        return fail_file(file, fmt::format("the certificate counts only from {} on; is this machine's clock right?",
                                           text_of_time(from)));
    }
    return {};
}

Result<std::vector<Owned<X509>>> read_certificates(const PemFile& file) {
    std::vector<Owned<X509>> list;
    const Owned<BIO> text = open_text(file);
    bool was_asked = false;
    for (;;) {
        Owned<X509> certificate(PEM_read_bio_X509(text.get(), nullptr, refuse_passphrase, &was_asked));
        if (certificate == nullptr) break;
        list.push_back(std::move(certificate));
        if (list.size() > certificates_max) {
            return fail_file(file, fmt::format("more than {} certificates", certificates_max));
        }
    }
    // It ends with "no start line" when all was read.
    const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (list.empty()) return fail_file(file, fmt::format("no certificate in PEM is in it; {}", how_to));
    if (!is_at_end) return fail_file(file, fmt::format("certificate {} in it is damaged", list.size() + 1));
    return list;
}

Result<void> use_identity(SSL_CTX* context, const TlsFiles& files, env::TimeNs wall) {
    auto chain = read_certificates(files.certificate);
    if (!chain) return std::unexpected(std::move(chain).error());
    WEFT_TRY(check_dates(files.certificate, chain->front().get(), wall));
    if (SSL_CTX_use_certificate(context, chain->front().get()) != 1) {
        return fail_file(files.certificate,
                         "its key is too weak, or of no kind that TLS knows: use EC P-256 or RSA 2048");
    }
    for (size_t at = 1; at < chain->size(); ++at) SSL_CTX_add1_chain_cert(context, (*chain)[at].get());

    bool was_asked = false;
    const Owned<BIO> text = open_text(files.key);
    const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(text.get(), nullptr, refuse_passphrase, &was_asked));
    if (key == nullptr) {
        return fail_file(files.key, was_asked ? "the key is encrypted, and nobody is there to be asked for the "
                                                "passphrase: store it without (openssl pkey -in FILE -out NEW)"
                                              : "no private key in PEM is in it");
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
        return fail_file(files.key,
                         fmt::format("this is not the key of the certificate in {}", files.certificate.name));
    }
    return {};
}

Result<void> use_authority(SSL_CTX* context, const PemFile& file, env::TimeNs wall, bool is_server) {
    auto list = read_certificates(file);
    if (!list) return std::unexpected(std::move(list).error());
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    for (const Owned<X509>& certificate : *list) {
        if (X509_check_ca(certificate.get()) == 0) {
            return fail_file(file,
                             "a certificate in it is not an authority's (CA:TRUE): give the one that signed the "
                             "peers' certificates");
        }
        WEFT_TRY(check_dates(file, certificate.get(), wall));
        if (X509_STORE_add_cert(store, certificate.get()) != 1) return fail_file(file, "it cannot be used");
        // So that a client with several certificates knows which to show.
        if (is_server) SSL_CTX_add_client_CA(context, certificate.get());
    }
    return {};
}

bool set_limits(SSL_CTX* context) {
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_cert_list(context, peer_certificates_bytes_max);
    SSL_CTX_set_verify_depth(context, chain_depth_max);
    SSL_CTX_set_security_level(context, 2);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

}  // namespace

TlsContext::TlsContext(Side side, std::unique_ptr<Library> library) : side_(side), library_(std::move(library)) {}
TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::make(Side side, const TlsFiles& files, env::TimeNs wall) {
    ERR_clear_error();
    const bool is_server = side == Side::server;
    Owned<SSL_CTX> context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    if (context == nullptr || !set_limits(context.get())) {
        return fail(Errc::not_supported, "TLS: this system's OpenSSL offers no TLS 1.2 with AES-GCM");
    }
    const bool has_identity = is_server || !files.certificate.text.empty() || !files.key.text.empty();
    if (has_identity) WEFT_TRY(use_identity(context.get(), files, wall));
    WEFT_TRY(use_authority(context.get(), files.authority, wall, is_server));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (is_server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    return std::unique_ptr<TlsContext>(new TlsContext(side, std::make_unique<Library>(std::move(context))));
}

}  // namespace weft::net
