#include "accel/software/software_module.h"

#include <algorithm>
#include <vector>

#include "accel/software/block_cipher.h"
#include "accel/software/deflate.h"
#include "accel/software/moves.h"
#include "accel/software/protect.h"

namespace weft::accel {

namespace {

class SoftwareChannel final : public ModuleChannel {
public:
    SoftwareChannel() : block_(block_bytes_max + metadata_bytes_max) {}

    Progress start(Operation& operation) override {
        operation.status = run(operation.job);
        return Progress::done;
    }

    Result<std::unique_ptr<PreparedKey>> prepare(CryptoKeyRef key, uint32_t block_bytes) override {
        return BlockCipher::create(std::move(key), block_bytes);
    }

private:
    Status run(const Job& job) {
        switch (job.op) {
            case Op::copy: copy_pieces(job.destination, job.source); return Status::success;
            case Op::fill: fill_pieces(job.destination, job.value); return Status::success;
            case Op::dualcast:
                copy_pieces(job.destination, job.source);
                copy_pieces(job.second, job.source);
                return Status::success;
            case Op::compare: return are_equal(job.source, job.second) ? Status::success : Status::miscompare;
            case Op::crc32c: *job.crc = crc32c_of(*job.crc, job.source); return Status::success;
            case Op::copy_crc32c:
                *job.crc = copy_with_crc32c(*job.crc, job.destination, job.source);
                return Status::success;
            case Op::compress: return deflate_.compress(job.level, job.destination, job.source, *job.output_bytes);
            case Op::decompress: return deflate_.decompress(job.destination, job.source, *job.output_bytes);
            case Op::encrypt:
            case Op::decrypt:
                return static_cast<BlockCipher*>(job.key)->run(job.op == Op::encrypt, job.lba, job.destination,
                                                               job.source, block_);
            case Op::xor_all: return xor_pieces(job.destination.front(), job.sources);
            case Op::dif_verify:
            case Op::dif_verify_copy:
            case Op::dif_generate:
            case Op::dif_generate_copy:
            case Op::dix_generate:
            case Op::dix_verify: return protect(job, block_);
        }
        return Status::not_supported;
    }

    std::vector<std::byte> block_;  // one that does not lie together
    Deflate deflate_;
};

}  // namespace

bool SoftwareModule::supports_cipher(Cipher cipher, size_t key_bytes) const {
    return (cipher == Cipher::aes_xts || cipher == Cipher::aes_cbc) && (key_bytes == 16 || key_bytes == 32);
}

bool SoftwareModule::supports_tweak(TweakMode /*mode*/) const { return true; }

Result<std::unique_ptr<ModuleChannel>> SoftwareModule::make_channel() { return std::make_unique<SoftwareChannel>(); }

}  // namespace weft::accel
