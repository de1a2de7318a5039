"""All areas of cases, in the order in which they run; each is called with the world and whether this is a full run."""
import area_admin
import area_commands
import area_auth
import area_concat
import area_connect
import area_cut
import area_fabrics
import area_h2c
import area_ic
import area_io
import area_log
import area_pdu
import area_reservations
import area_rpc
import area_rpc_params
import area_tls

AREAS = [
    area_ic.fields, area_ic.first_pdus, area_ic.streams,
    area_pdu.types, area_pdu.after_fatal, area_pdu.capsules, area_pdu.digests, area_pdu.terminations, area_pdu.pieces,
    area_h2c.fields, area_h2c.tags, area_h2c.pieces, area_h2c.queues,
    area_connect.admin_fields, area_connect.names, area_connect.data_pointers, area_connect.io_queues,
    area_connect.controller_ids, area_connect.pipelined,
    area_admin.opcodes, area_admin.attachment, area_admin.lba_status, area_admin.identify, area_admin.features,
    area_admin.life,
    area_fabrics.properties, area_fabrics.resets,
    area_auth.before, area_auth.commands, area_auth.messages, area_auth.states,
    area_log.pages,
    area_io.ranges, area_io.lengths, area_io.namespaces, area_io.dsm,
    area_reservations.fields, area_reservations.conflicts, area_reservations.features, area_reservations.paths,
    area_commands.copies, area_commands.verifies, area_commands.pairs, area_commands.zones_elsewhere,
    area_cut.cuts, area_cut.removals,
    area_tls.keys, area_tls.names, area_tls.strangers,
    area_concat.messages, area_concat.channels, area_concat.first_bytes,
    area_rpc.values, area_rpc.members, area_rpc.streams, area_rpc.clients, area_rpc_params.types,
    area_rpc_params.senseless,
]
