#include "nvmf/ana/view.h"

#include <algorithm>

#include "base/assert.h"

namespace weft::nvmf {

void AnaViews::set(const TransportId& listener, std::vector<nvme::AnaState> states) {
    std::unique_ptr<AnaView>& view = views_[listener];
    if (view == nullptr) view = std::make_unique<AnaView>();
    view->states = std::move(states);
}

void AnaViews::remove(const TransportId& listener) {
    const auto found = views_.find(listener);
    if (found == views_.end()) return;
    found->second->is_orphan = true;
    if (found->second->users > 0) orphans_.push_back(std::move(found->second));
    views_.erase(found);
}

const AnaView* AnaViews::find(const TransportId& listener) const {
    const auto found = views_.find(listener);
    return found == views_.end() ? nullptr : found->second.get();
}

AnaView* AnaViews::acquire(const TransportId& listener) {
    const auto found = views_.find(listener);
    if (found == views_.end()) return nullptr;
    ++found->second->users;
    return found->second.get();
}

void AnaViews::release(AnaView& view) {
    WEFT_ASSERT(view.users > 0);
    if (--view.users > 0 || !view.is_orphan) return;
    std::erase_if(orphans_, [&view](const auto& orphan) { return orphan.get() == &view; });
}

}  // namespace weft::nvmf
