#include "bdev/stack/base.h"

namespace weft::bdev {

Result<std::unique_ptr<Base>> Base::open(Registry& registry, std::string_view name, std::string holder, ClaimType claim,
                                         uint64_t key) {
    std::unique_ptr<Base> base(new Base());
    auto descriptor = registry.open(name, [mine = base.get()](Event event) { mine->on_event(event); });
    if (!descriptor) return std::unexpected(std::move(descriptor).error());
    WEFT_TRY((*descriptor)->claim(std::move(holder), claim, key));
    base->descriptor_ = std::move(*descriptor);
    return base;
}

void Base::report_to(BaseUser& user) {
    user_ = &user;
    if (is_removed_) user.on_base_removed(*this);
}

// A user may destroy the base being told: nothing is touched after that.
void Base::on_event(Event event) {
    if (event == Event::resized) {
        if (user_ != nullptr && !is_removed_) user_->on_base_resized(*this);
        return;
    }
    is_removed_ = true;
    if (user_ != nullptr) user_->on_base_removed(*this);
}

}  // namespace weft::bdev
