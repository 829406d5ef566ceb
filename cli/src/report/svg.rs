//! The graph as a drawing: one box a node, its width the share of the cost.

use lockstep_engine::LoadedModel;

use super::cost::Cost;
use super::model::{type_text, value_name};
use super::number::{grouped, percent};

const WIDTH: usize = 760;
const ROW: usize = 54;
const TOP: usize = 50;
const LEFT: usize = 120;
const BOX: usize = 520;
/// Characters of a line that the box holds.
const FITS: usize = 78;

/// Draws nodes from top to bottom, with lines from each operand that is a node or an input.
pub(crate) fn draw(m: &LoadedModel, cost: Option<&Cost>, names: &[String]) -> String {
    let g = &m.graph;
    let rows = g.inputs.len() + g.nodes.len();
    let height = TOP + rows * ROW + 20;
    let y = |row: usize| TOP + row * ROW;
    let total = cost.map_or(0, Cost::work_gas);
    let mut lines = String::new();
    let mut boxes = cost.map_or_else(String::new, |c| {
        let dims = c.dims_text();
        let at = if dims.is_empty() { String::new() } else { format!(" at {dims}") };
        format!(
            "<text x=\"{LEFT}\" y=\"36\" fill=\"#556\">{} gas of work{}, peak memory {}</text>\n",
            grouped(total),
            escape(&at),
            super::number::bytes(c.peak())
        )
    });
    let mut label = |row: usize, title: &str, below: &str, share: f64, color: &str| {
        let (top, filled) = (y(row), (share * BOX as f64) as usize);
        boxes.push_str(&format!(
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{BOX}\" height=\"36\" rx=\"4\" fill=\"#fff\" stroke=\"#667\"/>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{filled}\" height=\"36\" rx=\"4\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" fill=\"#556\">{}</text>\n",
            LEFT + 8,
            top + 15,
            escape(&fitted(title)),
            LEFT + 8,
            top + 30,
            escape(&fitted(below))
        ));
    };
    for (i, input) in g.inputs.iter().enumerate() {
        let t = type_text(&m.checked.types[i], &g.symbols);
        label(i, &input.name, &t, 1.0, "#e4ecf7");
    }
    for (n, node) in g.nodes.iter().enumerate() {
        let row = g.inputs.len() + n;
        let gas = cost.map_or(0, |c| c.node_gas(n));
        let share = if total == 0 { 0.0 } else { gas as f64 / total as f64 };
        let own = names.get(n).filter(|s| !s.is_empty()).map(|s| format!("  {s}")).unwrap_or_default();
        let outputs: Vec<&str> =
            g.outputs.iter().filter(|o| g.defining_node(o.value) == Some(n)).map(|o| o.name.as_str()).collect();
        let result = if outputs.is_empty() { String::new() } else { format!("  = {}", outputs.join(", ")) };
        let constants: Vec<String> =
            node.inputs.iter().flatten().filter(|v| g.as_constant(**v).is_some()).map(|v| value_name(g, *v)).collect();
        let with = if constants.is_empty() { String::new() } else { format!("  ({})", constants.join(", ")) };
        let t = type_text(&m.checked.types[g.node_value(n).0 as usize], &g.symbols);
        let title = format!("%{n} {}{own}{with}{result}", node.op.name());
        label(row, &title, &format!("{t}   {} gas, {}", grouped(gas), percent(gas, total)), share, "#ffe0b8");
        for v in node.inputs.iter().flatten() {
            let Some(from) = g.defining_node(*v).map(|d| d + g.inputs.len()).or_else(|| {
                let i = v.0 as usize;
                (i < g.inputs.len()).then_some(i)
            }) else {
                continue;
            };
            if from + 1 == row {
                let x = LEFT + BOX / 2;
                lines.push_str(&format!("<path d=\"M{x} {}V{}\"/>\n", y(from) + 36, y(row)));
            } else {
                let bend = LEFT.saturating_sub(12 + 9 * ((row - from) % 11));
                lines.push_str(&format!("<path d=\"M{LEFT} {}H{bend}V{}H{LEFT}\"/>\n", y(from) + 18, y(row) + 12));
            }
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fafbfc\"/>\n<text x=\"{LEFT}\" y=\"20\">{}</text>\n\
         <g fill=\"none\" stroke=\"#889\">\n{lines}</g>\n{boxes}</svg>\n",
        escape(&super::number::hex32(&m.id))
    )
}

/// A long name loses its middle, which says least.
fn fitted(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= FITS {
        return text.to_owned();
    }
    let (head, tail) = (FITS * 2 / 3, FITS / 3 - 1);
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
