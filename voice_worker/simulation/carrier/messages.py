"""The messages of psrpc and of livekit-sip's internal services, with the fields used here; others are skipped on parsing."""

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_T = descriptor_pb2.FieldDescriptorProto
_KINDS: Final = {
    "string": _T.TYPE_STRING,
    "bytes": _T.TYPE_BYTES,
    "int64": _T.TYPE_INT64,
    "int32": _T.TYPE_INT32,
    "bool": _T.TYPE_BOOL,
    "float": _T.TYPE_FLOAT,
}
_PACKAGE: Final = "voiceplatform.carrier"
# One line per message: number:name:type; `map` is map<string, string>, `*` repeats, an upper-case type is a message.
_LAYOUT: Final = """
Msg             1:type_url:string 2:value:bytes 3:channel:string
Request         1:request_id:string 2:client_id:string 3:sent_at:int64 4:expiry:int64 8:raw_request:bytes
Response        1:request_id:string 2:server_id:string 3:sent_at:int64 5:error:string 6:code:string 7:raw_response:bytes \
8:error_details:*Any
ClaimRequest    1:request_id:string 2:server_id:string 3:affinity:float
ClaimResponse   1:request_id:string 2:server_id:string
Duration        1:seconds:int64 2:nanos:int32
Create          2:address:string 3:number:string 4:call_to:string 7:room_name:string 8:participant_identity:string \
9:token:string 11:dtmf:string 13:sip_call_id:string 14:participant_name:string 15:participant_metadata:string \
17:participant_attributes:map 19:sip_trunk_id:string \
23:ringing_timeout:Duration 24:max_call_duration:Duration 29:wait_until_answered:bool
Created         1:participant_id:string 2:participant_identity:string 3:sip_call_id:string
Transfer        1:sip_call_id:string 2:transfer_to:string 5:ringing_timeout:Duration
Empty
Uri             1:user:string 2:host:string
SipCall         1:lk_call_id:string 2:source_ip:string 3:address:Uri 4:from:Uri 5:to:Uri 7:sip_call_id:string
Authenticate    8:call:SipCall
Authenticated   1:username:string 2:password:string 3:drop:bool 4:sip_trunk_id:string
Evaluate        10:sip_trunk_id:string 5:pin:string 12:call:SipCall
Evaluated       1:room_name:string 2:participant_identity:string 7:participant_name:string 8:participant_metadata:string \
11:participant_attributes:map 6:result:int32 9:sip_trunk_id:string 10:sip_dispatch_rule_id:string 16:ringing_timeout:Duration \
21:room_config:Empty
"""


def _build() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="voiceplatform/carrier.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    for line in _LAYOUT.strip().splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for text in fields:
            number, field, kind = text.split(":")
            _add_field(message, number=int(number), name=field, kind=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        m.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{m.name}")) for m in file.message_type
    }


def _add_field(message: descriptor_pb2.DescriptorProto, *, number: int, name: str, kind: str) -> None:
    repeated = kind.startswith("*") or kind == "map"
    label = _T.LABEL_REPEATED if repeated else _T.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind in _KINDS:
        field.type = _KINDS[kind]
        return
    field.type = _T.TYPE_MESSAGE
    if kind == "map":
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        for at, part in enumerate(("key", "value"), start=1):
            entry.field.add(name=part, number=at, label=_T.LABEL_OPTIONAL, type=_T.TYPE_STRING)
        field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
    else:
        bare = kind.removeprefix("*")
        field.type_name = ".google.protobuf.Any" if bare == "Any" else f".{_PACKAGE}.{bare}"


_CLASSES: Final = _build()


def make(name: str, **fields: Any) -> Any:
    """A message of the layout above; parts that are messages may be given as dicts."""
    return _CLASSES[name](**fields)


def parse(name: str, data: bytes) -> Any:
    """Raises google.protobuf.message.DecodeError."""
    return _CLASSES[name].FromString(data)


def pack(name: str, **fields: Any) -> bytes:
    """A message as it travels on a channel of psrpc."""
    url = f"type.googleapis.com/internal.{name}"
    return bytes(make("Msg", type_url=url, value=make(name, **fields).SerializeToString()).SerializeToString())


def unpack(name: str, data: bytes) -> Any:
    return parse(name, parse("Msg", data).value)
