// The Diffie-Hellman exchange of RFC 7919's groups. Slow: 1 to 20 ms a call, so never on a polled reactor.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "nvme/auth/messages.h"

namespace weft::nvme::auth {

// Random bytes that a key pair of the group is made from, which are the private exponent: twice the strength of the
// group and more (RFC 7919, 5.2). 0 for the NULL group.
size_t exponent_size_of(Group group);

// Of one exchange, for one side of it; empty for the NULL group.
struct KeyPair {
    Group group = Group::null;
    Secret exponent;
    std::vector<std::byte> public_value;  // as long as the group's prime
};

// `exponent` has exponent_size_of(group) bytes, from a source that nobody can predict.
KeyPair make_key_pair(Group group, Secret exponent);

// As long as the group's prime, with zeroes in front; empty for the NULL group. Errors: invalid_argument for a public
// value that would tell the secret (RFC 7919, 5.1: it must be from 2 to p - 2).
Result<Secret> shared_secret(const KeyPair& own, Bytes other_public_value);

}  // namespace weft::nvme::auth
