//! ONNX files of one node, as protobuf bytes.

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 128 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A field of bytes, of text or of a message.
pub fn bytes(number: u8, body: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(body.len() as u64), body.to_vec()].concat()
}

/// The same; the name says that a message is meant.
pub fn tensor_field(number: u8, message: &[u8]) -> Vec<u8> {
    bytes(number, message)
}

/// A field of an integer.
pub fn int(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

/// An input or output of f32 with these dimensions; 0 stands for a symbol.
pub fn port(name: &str, dims: &[u64]) -> Vec<u8> {
    // ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1, dim_param 2 } } } }.
    let dim = |d: &u64| bytes(1, &if *d == 0 { bytes(2, b"n") } else { int(1, *d) });
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    let ty = [int(1, 1), bytes(2, &shape)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &ty))].concat()
}

/// A model of one node.
pub fn model(op: &str, inputs: &[&str], ports: &[Vec<u8>], output: &[u8], initializers: &[Vec<u8>]) -> Vec<u8> {
    // NodeProto: input 1, output 2, op_type 4.
    let mut node: Vec<u8> = inputs.iter().flat_map(|i| bytes(1, i.as_bytes())).collect();
    node.extend([bytes(2, b"y"), bytes(4, op.as_bytes())].concat());
    // GraphProto: node 1, name 2, initializer 5, input 11, output 12.
    let mut graph = [bytes(1, &node), bytes(2, b"g")].concat();
    graph.extend(initializers.iter().flat_map(|t| bytes(5, t)));
    graph.extend(ports.iter().flat_map(|p| bytes(11, p)));
    graph.extend(bytes(12, output));
    // ModelProto: ir_version 1, graph 7, opset_import 8 { version 2 }.
    [int(1, 8), bytes(7, &graph), bytes(8, &int(2, 17))].concat()
}
