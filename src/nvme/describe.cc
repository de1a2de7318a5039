#include "nvme/describe.h"

#include <fmt/format.h>

#include <string_view>

#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "nvme/status.h"

namespace weft::nvme {

namespace {

std::string_view name_of(AdminOpcode opcode) {
    switch (opcode) {
        case AdminOpcode::delete_io_sq: return "DELETE IO SQ";
        case AdminOpcode::create_io_sq: return "CREATE IO SQ";
        case AdminOpcode::get_log_page: return "GET LOG PAGE";
        case AdminOpcode::delete_io_cq: return "DELETE IO CQ";
        case AdminOpcode::create_io_cq: return "CREATE IO CQ";
        case AdminOpcode::identify: return "IDENTIFY";
        case AdminOpcode::abort: return "ABORT";
        case AdminOpcode::set_features: return "SET FEATURES";
        case AdminOpcode::get_features: return "GET FEATURES";
        case AdminOpcode::async_event_request: return "ASYNC EVENT REQUEST";
        case AdminOpcode::namespace_management: return "NAMESPACE MANAGEMENT";
        case AdminOpcode::firmware_commit: return "FIRMWARE COMMIT";
        case AdminOpcode::firmware_image_download: return "FIRMWARE IMAGE DOWNLOAD";
        case AdminOpcode::device_self_test: return "DEVICE SELF-TEST";
        case AdminOpcode::namespace_attachment: return "NAMESPACE ATTACHMENT";
        case AdminOpcode::keep_alive: return "KEEP ALIVE";
        case AdminOpcode::directive_send: return "DIRECTIVE SEND";
        case AdminOpcode::directive_receive: return "DIRECTIVE RECEIVE";
        case AdminOpcode::virtualization_management: return "VIRTUALIZATION MANAGEMENT";
        case AdminOpcode::nvme_mi_send: return "NVME-MI SEND";
        case AdminOpcode::nvme_mi_receive: return "NVME-MI RECEIVE";
        case AdminOpcode::capacity_management: return "CAPACITY MANAGEMENT";
        case AdminOpcode::lockdown: return "LOCKDOWN";
        case AdminOpcode::doorbell_buffer_config: return "DOORBELL BUFFER CONFIG";
        case AdminOpcode::fabrics: return "FABRIC";
        case AdminOpcode::format_nvm: return "FORMAT NVM";
        case AdminOpcode::security_send: return "SECURITY SEND";
        case AdminOpcode::security_receive: return "SECURITY RECEIVE";
        case AdminOpcode::sanitize: return "SANITIZE";
        case AdminOpcode::get_lba_status: return "GET LBA STATUS";
    }
    return {};
}

std::string_view name_of(IoOpcode opcode) {
    switch (opcode) {
        case IoOpcode::flush: return "FLUSH";
        case IoOpcode::write: return "WRITE";
        case IoOpcode::read: return "READ";
        case IoOpcode::write_uncorrectable: return "WRITE UNCORRECTABLE";
        case IoOpcode::compare: return "COMPARE";
        case IoOpcode::write_zeroes: return "WRITE ZEROES";
        case IoOpcode::dataset_management: return "DATASET MANAGEMENT";
        case IoOpcode::verify: return "VERIFY";
        case IoOpcode::reservation_register: return "RESERVATION REGISTER";
        case IoOpcode::reservation_report: return "RESERVATION REPORT";
        case IoOpcode::reservation_acquire: return "RESERVATION ACQUIRE";
        case IoOpcode::io_management_receive: return "IO MANAGEMENT RECEIVE";
        case IoOpcode::reservation_release: return "RESERVATION RELEASE";
        case IoOpcode::copy: return "COPY";
        case IoOpcode::io_management_send: return "IO MANAGEMENT SEND";
        case IoOpcode::zone_management_send: return "ZONE MANAGEMENT SEND";
        case IoOpcode::zone_management_receive: return "ZONE MANAGEMENT RECEIVE";
        case IoOpcode::zone_append: return "ZONE APPEND";
        case IoOpcode::fabrics: return "FABRIC";
    }
    return {};
}

std::string_view name_of(FabricsType type) {
    switch (type) {
        case FabricsType::property_set: return "PROPERTY SET";
        case FabricsType::connect: return "CONNECT";
        case FabricsType::property_get: return "PROPERTY GET";
        case FabricsType::authentication_send: return "AUTHENTICATION SEND";
        case FabricsType::authentication_receive: return "AUTHENTICATION RECEIVE";
        case FabricsType::disconnect: return "DISCONNECT";
    }
    return {};
}

// "RESERVED (1f)" for what has no name, or "VENDOR SPECIFIC (c0)".
std::string name_or_code(std::string_view name, uint8_t code) {
    if (!name.empty()) return std::string(name);
    return fmt::format("{} ({:02x})", code >= vendor_specific_opcode_first ? "VENDOR SPECIFIC" : "RESERVED", code);
}

// The helpers below give what follows "cid:5", starting with a space, or nothing.

std::string fabrics_fields(const Command& command) {
    switch (command.fabrics_type()) {
        case FabricsType::connect: {
            const auto connect = as_fabrics<ConnectCommand>(command);
            return fmt::format(" sqsize:{}", connect.sqsize.value());
        }
        case FabricsType::property_get: {
            const auto get = as_fabrics<PropertyGetCommand>(command);
            return fmt::format(" attrib:{} ofst:{:x}", get.attrib, get.offset.value());
        }
        case FabricsType::property_set: {
            const auto set = as_fabrics<PropertySetCommand>(command);
            return fmt::format(" attrib:{} ofst:{:x} value:{:x}", set.attrib, set.offset.value(), set.value.value());
        }
        case FabricsType::authentication_send:
        case FabricsType::authentication_receive: {
            const auto authentication = as_fabrics<AuthenticationCommand>(command);
            return fmt::format(" secp:{:02x} len:{}", authentication.secp, authentication.length.value());
        }
        case FabricsType::disconnect: break;
    }
    return {};
}

std::string describe_fabrics(const Command& command) {
    const auto type = static_cast<uint8_t>(command.fabrics_type());
    const std::string name = name_or_code(name_of(command.fabrics_type()), type);
    std::string queue;
    if (command.fabrics_type() == FabricsType::connect) {
        queue = fmt::format(" qid:{}", as_fabrics<ConnectCommand>(command).qid.value());
    }
    return fmt::format("FABRIC {}{} cid:{}{}", name, queue, command.cid.value(), fabrics_fields(command));
}

std::string admin_fields(const Command& command) {
    switch (command.admin_opcode()) {
        case AdminOpcode::identify: {
            const auto request = IdentifyRequest::from(command);
            return fmt::format(" cns:{:02x} cntid:{} csi:{:02x}", static_cast<uint8_t>(request.cns), request.cntid,
                               static_cast<uint8_t>(request.csi));
        }
        case AdminOpcode::get_log_page: {
            const auto request = LogPageRequest::from(command);
            return fmt::format(" lid:{:02x} off:{} len:{}", static_cast<uint8_t>(request.id), request.offset,
                               request.length_bytes);
        }
        case AdminOpcode::abort: return fmt::format(" sqid:{} aborts:{}", command.cdw10 & 0xFFFF, command.cdw10 >> 16);
        case AdminOpcode::get_features:
            return fmt::format(" fid:{:02x} sel:{}", command.cdw10 & 0xFF, command.cdw10 >> 8 & 0x7);
        case AdminOpcode::set_features:
            return fmt::format(" fid:{:02x} cdw11:{:x}", command.cdw10 & 0xFF, command.cdw11.value());
        case AdminOpcode::async_event_request:
        case AdminOpcode::keep_alive: return {};
        default: return fmt::format(" cdw10:{:x} cdw11:{:x}", command.cdw10.value(), command.cdw11.value());
    }
}

std::string io_fields(const Command& command) {
    switch (command.io_opcode()) {
        case IoOpcode::flush: return {};
        case IoOpcode::read:
        case IoOpcode::write:
        case IoOpcode::compare:
        case IoOpcode::write_zeroes:
        case IoOpcode::write_uncorrectable:
        case IoOpcode::verify:
        case IoOpcode::zone_append: return fmt::format(" lba:{} len:{}", command.slba(), command.block_count());
        case IoOpcode::dataset_management:
            return fmt::format(" ranges:{} attributes:{:x}", (command.cdw10 & 0xFF) + 1, command.cdw11.value());
        case IoOpcode::copy: return fmt::format(" lba:{} ranges:{}", command.slba(), (command.cdw12 & 0xFF) + 1);
        default: return fmt::format(" cdw10:{:x} cdw11:{:x}", command.cdw10.value(), command.cdw11.value());
    }
}

}  // namespace

std::string describe(const Command& command, bool admin_queue) {
    if (command.is_fabrics()) return describe_fabrics(command);
    const std::string_view name = admin_queue ? name_of(command.admin_opcode()) : name_of(command.io_opcode());
    std::string text = fmt::format("{} cid:{} nsid:{}{}", name_or_code(name, command.opcode), command.cid.value(),
                                   command.nsid.value(), admin_queue ? admin_fields(command) : io_fields(command));
    if (command.fuse() != Fuse::none) text += fmt::format(" fuse:{}", static_cast<uint8_t>(command.fuse()));
    return text;
}

std::string describe(const Completion& completion, bool fabrics) {
    const auto status = Status::from_wire(completion.status);
    return fmt::format("{} cid:{} cdw0:{:x} sqhd:{:04x} p:{} m:{} dnr:{}", describe(status, fabrics),
                       completion.cid.value(), completion.cdw0.value(), completion.sqhd.value(), completion.status & 1u,
                       status.more ? 1 : 0, status.do_not_retry ? 1 : 0);
}

}  // namespace weft::nvme
