#include "nvmf/io/gate.h"

#include "base/mutants.h"

namespace weft::nvmf {

nvme::Status path_refusal(const NamespaceView& ns, nvme::AnaState state) {
    if (mutant::on(mutant::ana_ignored_in_group_1) && ns.identity.anagrpid == 1) return nvme::status::success;
    return path_status(state);
}

}  // namespace weft::nvmf
