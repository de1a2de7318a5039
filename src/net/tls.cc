#include "net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "net/tls_library.h"

namespace weft::net {

namespace {

constexpr size_t names_max = 32;  // of a kind
constexpr size_t name_bytes_max = 255;

// A name that can be compared and shown: nothing that ends it early, nothing that a terminal obeys.
bool is_sound(std::string_view name) {
    return !name.empty() && name.size() <= name_bytes_max && std::ranges::all_of(name, [](char byte) {
        const auto value = static_cast<unsigned char>(byte);
        return value >= 0x20 && value != 0x7F;
    });
}

std::string common_name_of(X509* certificate) {
    X509_NAME* const subject = X509_get_subject_name(certificate);
    const int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0) return {};
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
    if (size < 0) return {};
    std::string name(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
    return is_sound(name) ? name : std::string();
}

TlsPeer peer_of(X509* certificate) {
    TlsPeer peer{.common_name = common_name_of(certificate), .dns_names = {}, .uris = {}};
    const Owned<GENERAL_NAMES> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int at = 0; names != nullptr && at < sk_GENERAL_NAME_num(names.get()); ++at) {
        const GENERAL_NAME* const entry = sk_GENERAL_NAME_value(names.get(), at);
        const bool is_dns = entry->type == GEN_DNS;
        if (!is_dns && entry->type != GEN_URI) continue;
        const ASN1_IA5STRING* const value = is_dns ? entry->d.dNSName : entry->d.uniformResourceIdentifier;
        std::string name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<size_t>(ASN1_STRING_length(value)));
        std::vector<std::string>& list = is_dns ? peer.dns_names : peer.uris;
        if (!is_sound(name) || list.size() == names_max) continue;
        if (is_dns) {
            std::ranges::transform(name, name.begin(), [](char byte) {
                return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
            });
        }
        list.push_back(std::move(name));
    }
    return peer;
}

// What the peer, or we, object to in a certificate, as a person would say it.
std::string text_of_verdict(long verdict, bool is_server, const std::string& peer_name) {
    const char* const whose = is_server ? "the client's certificate" : "the server's certificate";
    switch (verdict) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return fmt::format("{} has expired", whose);
        case X509_V_ERR_CERT_NOT_YET_VALID: return fmt::format("{} does not count yet", whose);
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return fmt::format("{} is not for {}", whose, log::quoted(peer_name, name_bytes_max));
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return fmt::format("{} is from an authority that is not known here", whose);
        case X509_V_ERR_INVALID_PURPOSE:
            return fmt::format("{} is not meant for a {}", whose, is_server ? "client" : "server");
        default: return fmt::format("{}: {}", whose, X509_verify_cert_error_string(verdict));
    }
}

// What the library calls a failure, when no certificate of the peer is the cause.
std::string text_of_reason(unsigned long number, bool is_server) {
    const char* const other = is_server ? "the client" : "the server";
    switch (ERR_GET_REASON(number)) {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return fmt::format("{} showed no certificate", other);
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
        case SSL_R_UNKNOWN_PROTOCOL:
        case SSL_R_BAD_RECORD_TYPE:
        case SSL_R_PACKET_LENGTH_TOO_LONG: return fmt::format("{} does not speak TLS", other);
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return "the other side has no TLS 1.2 or 1.3";
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return fmt::format("{} wants a certificate, and was shown none", other);
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            return fmt::format("{} says that our certificate has expired", other);
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            return fmt::format("{} does not know the authority of our certificate", other);
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: return fmt::format("{} does not accept our certificate", other);
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            return fmt::format("{} ended the handshake: no certificate was shown, or no cipher is common", other);
        default: break;
    }
    const char* const reason = ERR_reason_error_string(number);
    return reason == nullptr ? "the handshake failed" : std::string(reason);
}

}  // namespace

struct TlsCore::Library {
    Owned<SSL> connection;
    BIO* in = nullptr;   // the connection's
    BIO* out = nullptr;  // the same
};

TlsCore::TlsCore(const TlsContext& context, env::TimeNs wall, std::string_view peer_name)
    : library_(std::make_unique<Library>()),
      is_server_(context.side() == TlsContext::Side::server),
      peer_name_(peer_name) {
    library_->connection.reset(SSL_new(context.library_->context.get()));
    library_->in = BIO_new(BIO_s_mem());
    library_->out = BIO_new(BIO_s_mem());
    SSL* const connection = library_->connection.get();
    if (connection == nullptr || library_->in == nullptr || library_->out == nullptr) {
        BIO_free(library_->in);
        BIO_free(library_->out);
        fail_with(Errc::no_memory, "out of memory");
        return;
    }
    SSL_set_bio(connection, library_->in, library_->out);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(connection), static_cast<time_t>(wall / env::ns_per_s));
    if (is_server_) {
        SSL_set_accept_state(connection);
        return;
    }
    SSL_set_connect_state(connection);
    // The name of an interface is no part of what a certificate is for.
    const std::string address = peer_name_.substr(0, peer_name_.find('%'));
    const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), address.c_str()) == 1;
    ERR_clear_error();
    if (is_address) return;
    SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (peer_name_.empty() || SSL_set1_host(connection, peer_name_.c_str()) != 1 ||
        SSL_set_tlsext_host_name(connection, peer_name_.c_str()) != 1) {
        fail_with(Errc::invalid_argument, "no name that the server's certificate must be for");
    }
}

TlsCore::~TlsCore() = default;

void TlsCore::fail_with(Errc code, std::string message) {
    state_ = State::failed;
    error_ = {code, "TLS: " + std::move(message)};
}

// `library_error` is what SSL_get_error() made of the outcome of a call.
void TlsCore::take_failure(int library_error) {
    if (library_error == SSL_ERROR_WANT_READ) return;
    if (library_error == SSL_ERROR_ZERO_RETURN) {
        if (state_ == State::open) {
            state_ = State::ended;
        } else {
            fail_with(Errc::connection_lost, "the other side ended the handshake");
        }
        return;
    }
    const long verdict = SSL_get_verify_result(library_->connection.get());
    const bool is_ours = state_ == State::handshake && verdict != X509_V_OK;
    fail_with(
        is_ours ? Errc::permission_denied : Errc::protocol_error,
        is_ours ? text_of_verdict(verdict, is_server_, peer_name_) : text_of_reason(ERR_peek_error(), is_server_));
    ERR_clear_error();
}

void TlsCore::feed(Bytes bytes) {
    if (state_ == State::handshake) {
        handshake_bytes_ += bytes.size();
        if (handshake_bytes_ > handshake_bytes_max) return fail_with(Errc::protocol_error, "too long a handshake");
    }
    if (state_ == State::failed || bytes.empty()) return;
    const int taken = BIO_write(library_->in, bytes.data(), static_cast<int>(bytes.size()));
    if (taken != static_cast<int>(bytes.size())) fail_with(Errc::no_memory, "out of memory");
}

void TlsCore::handshake() {
    if (state_ != State::handshake) return;
    ERR_clear_error();
    SSL* const connection = library_->connection.get();
    const int outcome = SSL_do_handshake(connection);
    if (outcome != 1) return take_failure(SSL_get_error(connection, outcome));
    X509* const certificate = SSL_get0_peer_certificate(connection);
    // Both sides ask for one and insist on it; held here once more, since all rights hang on it.
    if (certificate == nullptr || SSL_get_verify_result(connection) != X509_V_OK) {
        return fail_with(Errc::permission_denied, "the other side showed no certificate");
    }
    peer_ = peer_of(certificate);
    ERR_clear_error();
    state_ = State::open;
}

size_t TlsCore::read(MutableBytes into) {
    if (state_ != State::open) return 0;
    ERR_clear_error();
    SSL* const connection = library_->connection.get();
    const int outcome = SSL_read(connection, into.data(), static_cast<int>(into.size()));
    if (outcome > 0) return static_cast<size_t>(outcome);
    take_failure(SSL_get_error(connection, outcome));
    return 0;
}

void TlsCore::write(std::string_view plaintext) {
    WEFT_ASSERT(state_ == State::open || state_ == State::ended || state_ == State::failed);
    if (state_ == State::failed || plaintext.empty()) return;
    ERR_clear_error();
    SSL* const connection = library_->connection.get();
    const int outcome = SSL_write(connection, plaintext.data(), static_cast<int>(plaintext.size()));
    // There is always room in memory: what does not go in at once is a failure.
    if (outcome != static_cast<int>(plaintext.size())) fail_with(Errc::protocol_error, "writing failed");
}

void TlsCore::end() {
    if (state_ != State::open && state_ != State::ended) return;
    ERR_clear_error();
    SSL_shutdown(library_->connection.get());
    ERR_clear_error();
}

std::string TlsCore::take_output() {
    std::string bytes;
    if (library_->connection == nullptr) return bytes;
    bytes.resize(BIO_ctrl_pending(library_->out));
    if (!bytes.empty()) BIO_read(library_->out, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

std::string TlsCore::protocol() const { return SSL_get_version(library_->connection.get()); }

}  // namespace weft::net
