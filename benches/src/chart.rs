//! The chart in docs/performance.md: instructions that tracing adds to a sampled unary RPC.

use std::fmt::Write as _;

use crate::row::Row;
use crate::rpc::Shape;
use crate::sdk::Mode;
use crate::variant::{BARE, Whose};

const LINE: usize = 26;
const TOP: usize = 58;
const LEFT: f64 = 320.0;
const WIDTH: f64 = 360.0;

/// Draws the chart as SVG.
pub(crate) fn draw(rows: &[Row<'_>]) -> String {
    let is_shown = |row: &&Row<'_>| {
        let is_server = row.variant.base == BARE && row.variant.whose != Whose::Nobodys;
        is_server && row.mode == Mode::Sampled && row.shape == Shape::Unary
    };
    let mut shown: Vec<_> = rows.iter().filter(is_shown).collect();
    shown.sort_by(|a, b| a.instructions().total_cmp(&b.instructions()));
    let most = shown.last().map_or(1.0, |row| row.instructions());
    let height = TOP + LINE * shown.len() + 14;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" viewBox="0 0 860 {height}" font-family="sans-serif" font-size="13">
<rect width="860" height="{height}" fill="#ffffff"/>
<text x="16" y="24" font-size="16" font-weight="bold" fill="#1f2328">Instructions that tracing adds to a unary RPC, sampled</text>
<text x="16" y="43" fill="#59636e">tonic in process, without a socket; counted by callgrind. Shorter is better.</text>
"##
    );
    for (index, row) in shown.into_iter().enumerate() {
        let y = TOP + LINE * index;
        let middle = y + 16;
        let width = WIDTH * row.instructions() / most;
        let (fill, weight) = match row.variant.whose {
            Whose::Ours => ("#1a7f37", "bold"),
            _ => ("#9198a1", "normal"),
        };
        let does = match (row.cost.spans > 0.0, row.cost.durations > 0.0) {
            (false, _) if row.variant.name.starts_with("tonic-otel-layer") => ", no spans",
            (_, false) => ", no metrics",
            _ => "",
        };
        let _ = write!(
            svg,
            r##"<text x="{}" y="{middle}" text-anchor="end" font-weight="{weight}" fill="#1f2328">{}</text>
<rect x="{LEFT}" y="{}" width="{width:.0}" height="18" rx="2" fill="{fill}"/>
<text x="{:.0}" y="{middle}" fill="#1f2328">{:.0} <tspan fill="#59636e">· {:.0} allocations{does}</tspan></text>
"##,
            LEFT - 10.0,
            row.name(),
            y + 3,
            LEFT + width + 8.0,
            row.instructions(),
            row.allocations(),
        );
    }
    svg.push_str("</svg>\n");
    svg
}
