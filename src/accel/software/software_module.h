// Does all jobs with the CPU, on the spot: isa-l and OpenSSL choose by the CPU they run on.
#pragma once

#include "accel/module.h"

namespace weft::accel {

class SoftwareModule final : public Module {
public:
    [[nodiscard]] std::string_view name() const override { return "software"; }
    [[nodiscard]] bool supports(Op /*op*/) const override { return true; }
    [[nodiscard]] bool is_inline() const override { return true; }
    [[nodiscard]] bool supports_cipher(Cipher cipher, size_t key_bytes) const override;
    [[nodiscard]] bool supports_tweak(TweakMode mode) const override;
    Result<std::unique_ptr<ModuleChannel>> make_channel() override;
};

}  // namespace weft::accel
