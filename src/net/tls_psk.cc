#include "net/tls_psk.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/endian.h"
#include "net/tls_psk_library.h"
#include "net/tls_stream.h"

namespace weft::net {

namespace {

// Nothing slower: the client chooses, and the server calculates.
constexpr std::array groups{NID_X25519, NID_X9_62_prime256v1, NID_secp384r1};
constexpr const char* suite_of_32 = "TLS_AES_128_GCM_SHA256";
constexpr const char* suite_of_48 = "TLS_AES_256_GCM_SHA384";
constexpr unsigned char client_hello_type = 1;  // RFC 8446, 4

const unsigned char* octets(const void* bytes) { return static_cast<const unsigned char*>(bytes); }
const char* suite_of(const PskKey& key) { return key.size == 32 ? suite_of_32 : suite_of_48; }
const EVP_MD* hash_of(const PskKey& key) { return key.size == 32 ? EVP_sha256() : EVP_sha384(); }

// The BIO ---------------------------------------------------------------------------------------------------------

TlsPipe& pipe_of(BIO* bio) { return *static_cast<TlsPipe*>(BIO_get_data(bio)); }

int pipe_read(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    TlsPipe& pipe = pipe_of(bio);
    if (size <= 0) return 0;
    if (pipe.has_input()) {
        const size_t count = std::min(pipe.in.size() - pipe.in_used, static_cast<size_t>(size));
        std::memcpy(into, pipe.in.data() + pipe.in_used, count);
        pipe.in_used += count;
        if (!pipe.has_input()) {
            pipe.in.clear();
            pipe.in_used = 0;
            if (pipe.below != nullptr) pipe.in.shrink_to_fit();  // not needed again
        }
        return static_cast<int>(count);
    }
    if (pipe.below == nullptr || pipe.receives_left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    --pipe.receives_left;
    pipe.last = pipe.below->receive(MutableBytes(reinterpret_cast<std::byte*>(into), static_cast<size_t>(size)));
    switch (pipe.last.state) {
        case env::Transfer::State::done: return static_cast<int>(pipe.last.bytes);
        case env::Transfer::State::end: return 0;
        case env::Transfer::State::failed: return -1;
        case env::Transfer::State::would_block: break;
    }
    BIO_set_retry_read(bio);
    return -1;
}

int pipe_write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    TlsPipe& pipe = pipe_of(bio);
    if (size <= 0) return 0;
    const auto count = static_cast<size_t>(size);
    if (count > pipe.out_max - std::min(pipe.out_max, pipe.out.size())) return -1;
    const auto* bytes = reinterpret_cast<const std::byte*>(from);
    pipe.out.insert(pipe.out.end(), bytes, bytes + count);
    return size;
}

long pipe_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// One for the process, made at its first use.
const BIO_METHOD* pipe_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft pipe");
        WEFT_ASSERT(made != nullptr);
        BIO_meth_set_read(made, pipe_read);
        BIO_meth_set_write(made, pipe_write);
        BIO_meth_set_ctrl(made, pipe_control);
        return made;
    }();
    return method;
}

// The binder (RFC 8446, 4.2.11.2 and 7.1) ---------------------------------------------------------------------------

PskKey hmac(const PskKey& like, Bytes key, Bytes message) {
    PskKey result;
    result.size = like.size;
    unsigned int size = 0;
    const unsigned char* const made =
        HMAC(hash_of(like), key.data(), static_cast<int>(key.size()), octets(message.data()), message.size(),
             reinterpret_cast<unsigned char*>(result.bytes.data()), &size);
    WEFT_ASSERT(made != nullptr && size == like.size);
    return result;
}

std::string digest(const PskKey& like, Bytes message) {
    std::string result(like.size, '\0');
    const int done = EVP_Digest(message.data(), message.size(), reinterpret_cast<unsigned char*>(result.data()),
                                nullptr, hash_of(like), nullptr);
    WEFT_ASSERT(done == 1);
    return result;
}

// HKDF-Expand-Label whose output is as long as the hash's: one block.
PskKey expand(const PskKey& secret, std::string_view label, std::string_view context) {
    std::string info{'\0', static_cast<char>(secret.size)};
    info += static_cast<char>(6 + label.size());
    info += "tls13 ";
    info += label;
    info += static_cast<char>(context.size());
    info += context;
    info += '\1';
    return hmac(secret, secret.secret(), bytes_of(std::string_view(info)));
}

std::string binder_of(const PskKey& key, Bytes hashed) {
    const std::array<std::byte, PskKey::bytes_max> no_salt{};
    const PskKey early = hmac(key, Bytes(no_salt).first(key.size), key.secret());
    const PskKey binder_key = expand(early, "ext binder", digest(key, {}));
    const PskKey finished = expand(binder_key, "finished", {});
    return std::string(text_of(hmac(key, finished.secret(), bytes_of(std::string_view(digest(key, hashed)))).secret()));
}

// OpenSSL's callbacks -----------------------------------------------------------------------------------------------

PskHandshake::Library& library_of(const SSL* connection) {
    return *static_cast<PskHandshake::Library*>(SSL_get_app_data(connection));
}

// Keeps the ClientHello: the binders are made over it.
// NOLINTNEXTLINE(readability-function-size): OpenSSL's signature
void on_message(int is_sent, int /*version*/, int type, const void* bytes, size_t size, SSL* connection,
                void* /*unused*/) {
    if (is_sent != 0 || type != SSL3_RT_HANDSHAKE || size == 0 || *octets(bytes) != client_hello_type) return;
    PskHandshake::Library& library = library_of(connection);
    if (!library.client_hello.empty()) return;  // the second is made with the same key
    const auto* start = static_cast<const std::byte*>(bytes);
    library.client_hello.assign(start, start + size);
}

// Takes the pre_shared_key extension apart (RFC 8446, 4.2.11). OpenSSL does it again, and refuses what is malformed.
void read_offers(PskHandshake::Library& library, Bytes extension) {
    Reader reader(extension);
    Reader identities(reader.take_bytes(reader.take<be16>()));
    Reader binders(reader.take_bytes(reader.take<be16>()));
    if (!reader.ok() || library.client_hello.size() < binders.rest().size() + 2) return;
    library.hashed_bytes = library.client_hello.size() - binders.rest().size() - 2;
    while (!identities.rest().empty() && library.offers.size() < PskHandshake::offers_max) {
        const Bytes identity = identities.take_bytes(identities.take<be16>());
        identities.take<be32>();  // the age of a ticket
        const Bytes binder = binders.take_bytes(binders.take<uint8_t>());
        if (!identities.ok() || !binders.ok()) return;
        if (identity.size() > PskHandshake::identity_bytes_max) continue;
        library.offers.push_back({std::string(text_of(identity)), std::string(text_of(binder))});
    }
}

// Stops the handshake until the key is chosen.
int on_client_hello(SSL* connection, int* /*alert*/, void* /*unused*/) {
    PskHandshake::Library& library = library_of(connection);
    if (library.is_chosen) return SSL_CLIENT_HELLO_SUCCESS;
    const unsigned char* extension = nullptr;
    size_t size = 0;
    library.offers.clear();
    if (SSL_client_hello_get0_ext(connection, TLSEXT_TYPE_psk, &extension, &size) == 1) {
        read_offers(library, Bytes(reinterpret_cast<const std::byte*>(extension), size));
    }
    return SSL_CLIENT_HELLO_RETRY;
}

// OpenSSL's way to take a key from outside is a session with it.
SSL_SESSION* make_session(SSL* connection, const PskKey& key) {
    const unsigned char id[2] = {0x13, static_cast<unsigned char>(key.size == 32 ? 0x01 : 0x02)};
    const SSL_CIPHER* const cipher = SSL_CIPHER_find(connection, id);
    SSL_SESSION* const session = SSL_SESSION_new();
    if (session == nullptr || cipher == nullptr) return nullptr;
    const bool is_made = SSL_SESSION_set1_master_key(session, octets(key.bytes.data()), key.size) == 1 &&
                         SSL_SESSION_set_cipher(session, cipher) == 1 &&
                         SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1;
    if (is_made) return session;
    SSL_SESSION_free(session);
    return nullptr;
}

int on_find_session(SSL* connection, const unsigned char* identity, size_t size, SSL_SESSION** session) {
    const PskHandshake::Library& library = library_of(connection);
    *session = nullptr;
    const std::string_view name(reinterpret_cast<const char*>(identity), size);
    if (library.has_key && name == library.key.identity) *session = make_session(connection, library.key);
    return 1;
}

int on_use_session(SSL* connection, const EVP_MD* hash, const unsigned char** identity, size_t* size,
                   SSL_SESSION** session) {
    const PskKey& key = library_of(connection).key;
    *session = nullptr;
    // After a HelloRetryRequest the hash is settled.
    if (hash != nullptr && EVP_MD_get_size(hash) != static_cast<int>(key.size)) return 1;
    *identity = octets(key.identity.data());
    *size = key.identity.size();
    *session = make_session(connection, key);
    return *session != nullptr ? 1 : 0;
}

bool set_up(SSL_CTX* context, bool is_server) {
    std::array chosen_groups = groups;  // the library's macro takes away its const
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_clear_options(context, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_early_data(context, 0);
    // No authority is known: a server's certificate instead of the key is refused. A client is asked for none.
    SSL_CTX_set_verify(context, is_server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    // One call of the socket brings several records, which are decrypted where they lie.
    SSL_CTX_set_read_ahead(context, 1);
    // Until the handshake is over (TlsStream) the buffers are of the smallest size, and are there only while they hold
    // something: a crowd of hosts that wait, or let us wait, takes little.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (is_server) {
        SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
        SSL_CTX_set_psk_find_session_callback(context, on_find_session);
        SSL_CTX_set_msg_callback(context, on_message);
    } else {
        SSL_CTX_set_psk_use_session_callback(context, on_use_session);
    }
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1 &&
           SSL_CTX_set1_groups(context, chosen_groups.data(), chosen_groups.size()) == 1;
}

// What OpenSSL calls a failure, as a person would say it.
std::string text_of_reason(unsigned long number, bool is_server) {
    const char* const other = is_server ? "the host" : "the target";
    switch (ERR_GET_REASON(number)) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_UNKNOWN_PROTOCOL:
        case SSL_R_BAD_RECORD_TYPE:
        case SSL_R_UNEXPECTED_MESSAGE:
        case SSL_R_PACKET_LENGTH_TOO_LONG: return fmt::format("{} does not speak TLS here", other);
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return fmt::format("{} has no TLS 1.3", other);
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            return fmt::format("{} offers no key that is known here, or not the cipher of its key", other);
        case SSL_R_BINDER_DOES_NOT_VERIFY:
        case SSL_R_DIGEST_CHECK_FAILED: return fmt::format("{} has another key for this identity", other);
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        case SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY:
            return fmt::format(
                "{} knows no such key: are host NQN, subsystem NQN and identity version those that it "
                "was told?",
                other);
        case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
        case SSL_R_TLSV1_ALERT_DECRYPT_ERROR: return fmt::format("{} has another key for this identity", other);
        default: break;
    }
    const char* const reason = ERR_reason_error_string(number);
    return reason == nullptr ? "the handshake failed" : std::string(reason);
}

}  // namespace

BIO* make_pipe_bio(TlsPipe& pipe) {
    BIO* const bio = BIO_new(pipe_method());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &pipe);
    BIO_set_init(bio, 1);
    return bio;
}

PskKey::PskKey(std::string name, Bytes secret) : identity(std::move(name)), size(secret.size()) {
    WEFT_ASSERT(size == 32 || size == 48);
    std::ranges::copy(secret, bytes.begin());
}

PskKey::~PskKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

PskContext::PskContext(Side side, std::unique_ptr<Library> library) : side_(side), library_(std::move(library)) {}
PskContext::~PskContext() = default;

Result<std::unique_ptr<PskContext>> PskContext::make(Side side) {
    ERR_clear_error();
    const bool is_server = side == Side::server;
    Owned<SSL_CTX> context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    if (context == nullptr || !set_up(context.get(), is_server)) {
        ERR_clear_error();
        return fail(Errc::not_supported, "TLS: this system's OpenSSL offers no TLS 1.3 with AES-GCM");
    }
    auto library = std::make_unique<Library>();
    library->context = std::move(context);
    return std::unique_ptr<PskContext>(new PskContext(side, std::move(library)));
}

PskHandshake::PskHandshake(const PskContext& context)
    : library_(std::make_unique<Library>()), is_server_(context.side() == PskContext::Side::server) {
    ERR_clear_error();
    library_->pipe->out_max = bytes_max;
    library_->connection.reset(SSL_new(context.library_->context.get()));
    BIO* const bio = make_pipe_bio(*library_->pipe);
    if (library_->connection == nullptr || bio == nullptr) {
        BIO_free(bio);
        library_->connection.reset();
        fail_with(Errc::no_memory, "out of memory");
        return;
    }
    SSL* const connection = library_->connection.get();
    SSL_set_app_data(connection, library_.get());
    SSL_set_bio(connection, bio, bio);
    if (is_server_) {
        SSL_set_accept_state(connection);
    } else {
        SSL_set_connect_state(connection);
    }
}

PskHandshake::PskHandshake(const PskContext& context, const PskKey& key) : PskHandshake(context) {
    WEFT_ASSERT(!is_server_);
    library_->key = key;
    library_->has_key = true;
    if (state_ == State::running && SSL_set_ciphersuites(library_->connection.get(), suite_of(key)) != 1) {
        fail_with(Errc::no_memory, "out of memory");
    }
}

PskHandshake::~PskHandshake() = default;

void PskHandshake::fail_with(Errc code, std::string message) {
    state_ = State::failed;
    error_ = {code, "TLS: " + std::move(message)};
    ERR_clear_error();
}

void PskHandshake::take_failure(int library_error) {
    if (library_error == SSL_ERROR_WANT_READ) return;
    if (library_error == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
        state_ = State::wants_key;
        return;
    }
    fail_with(Errc::permission_denied, text_of_reason(ERR_peek_error(), is_server_));
}

void PskHandshake::feed(Bytes bytes) {
    if (state_ == State::failed) return;
    fed_bytes_ += bytes.size();
    if (fed_bytes_ > bytes_max) return fail_with(Errc::protocol_error, "too long a handshake");
    library_->pipe->in.insert(library_->pipe->in.end(), bytes.begin(), bytes.end());
}

void PskHandshake::step() {
    if (state_ != State::running) return;
    ERR_clear_error();
    SSL* const connection = library_->connection.get();
    const int outcome = SSL_do_handshake(connection);
    if (outcome != 1) return take_failure(SSL_get_error(connection, outcome));
    // Held here once more, since all rights hang on it: the key was used, not a certificate.
    if (SSL_session_reused(connection) != 1 || !library_->has_key) {
        return fail_with(Errc::permission_denied, "the other side did not use the key");
    }
    ERR_clear_error();
    state_ = State::open;
}

std::string PskHandshake::take_output() {
    std::vector<std::byte>& out = library_->pipe->out;
    std::string bytes(text_of(Bytes(out)));
    out.clear();
    return bytes;
}

const std::vector<PskOffer>& PskHandshake::offers() const { return library_->offers; }

bool PskHandshake::proves(const PskOffer& offer, const PskKey& key) const {
    if (offer.binder.size() != key.size) return false;
    const std::string expected = binder_of(key, Bytes(library_->client_hello).first(library_->hashed_bytes));
    return CRYPTO_memcmp(expected.data(), offer.binder.data(), expected.size()) == 0;
}

void PskHandshake::choose(const PskKey* key) {
    WEFT_ASSERT(state_ == State::wants_key);
    state_ = State::running;
    library_->is_chosen = true;
    if (key == nullptr) return;
    library_->key = *key;
    library_->has_key = true;
    // OpenSSL settles the cipher before it looks at keys, and passes over those of another cipher.
    if (SSL_set_ciphersuites(library_->connection.get(), suite_of(*key)) != 1) {
        fail_with(Errc::no_memory, "out of memory");
    }
}

std::string PskHandshake::cipher() const {
    WEFT_ASSERT(state_ == State::open);
    return SSL_get_cipher_name(library_->connection.get());
}

std::unique_ptr<env::Stream> PskHandshake::into_stream(std::unique_ptr<env::Stream> below, env::MemoryShare memory) {
    WEFT_ASSERT(state_ == State::open && library_->pipe->out.empty());
    library_->client_hello = {};
    library_->offers = {};
    library_->key = {};
    return std::make_unique<TlsStream>(std::move(library_), std::move(below), std::move(memory));
}

}  // namespace weft::net
