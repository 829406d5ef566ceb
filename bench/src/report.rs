//! The summary, and docs/benchmarks.md with its plot.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::cases::Row;

/// Writes `summary.json` into `out`, and page and plot into `docs`.
pub fn write(rows: &[Row], machine: &str, out: &Path, docs: &Path) -> Result<()> {
    std::fs::write(out.join("summary.json"), serde_json::to_string_pretty(rows)?)?;
    plot(rows, &docs.join("benchmarks.svg"))?;
    std::fs::write(docs.join("benchmarks.md"), page(rows, machine))?;
    Ok(())
}

fn page(rows: &[Row], machine: &str) -> String {
    let with_target: Vec<&Row> = rows.iter().filter(|r| r.met.is_some()).collect();
    let met = with_target.iter().filter(|r| r.met == Some(true)).count();
    let mut page = format!(
        "# Benchmarks\n\nWritten by `make bench`; do not edit. {machine}\n\nAll contenders of a case take turns in one run; \
         times are medians of the rounds, a ratio is the median of the rounds' ratios (above 1: Lockstep is faster). \
         Lockstep's answers have the same bits on every machine and with any number of threads; the peers' have not.\n\n\
         Targets met: {met} of {}.\n\n![ratios](benchmarks.svg)\n\n## Against others\n\n\
         | case | Lockstep | peer | its time | ratio | target | |\n|---|---|---|---|---|---|---|\n",
        with_target.len()
    );
    let verdict = |r: &Row| match r.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    };
    let amount = |v: Option<f64>| v.map(|v| format!("{v:.2}")).unwrap_or_default();
    for r in rows.iter().filter(|r| r.ratio.is_some()) {
        let peer = r.peer.as_deref().unwrap_or_default();
        writeln!(
            page,
            "| {} | {:.1} µs | {peer} | {:.1} µs | {} | {} | {} |",
            r.name,
            r.ours,
            r.theirs.unwrap_or(f64::NAN),
            amount(r.ratio),
            amount(r.target),
            verdict(r)
        )
        .ok();
    }
    page += "\n## Amounts\n\n| case | amount | unit | target | |\n|---|---|---|---|---|\n";
    for r in rows.iter().filter(|r| r.ratio.is_none()) {
        writeln!(page, "| {} | {:.2} | {} | {} | {} |", r.name, r.ours, r.unit, amount(r.target), verdict(r)).ok();
    }
    page += "\n";
    page += include_str!("../notes.md");
    page
}

/// Ratios as bars on a logarithmic axis.
fn plot(rows: &[Row], path: &Path) -> Result<()> {
    let bars: Vec<(&Row, f64)> = rows.iter().filter_map(|r| Some((r, r.ratio?))).collect();
    if bars.is_empty() {
        return Ok(());
    }
    let height = 60 + 18 * bars.len() as u32;
    let root = SVGBackend::new(path, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(380)
        .caption("times as fast as the peer", ("sans-serif", 16))
        .build_cartesian_2d((0.1f64..10.0).log_scale(), 0..bars.len())?;
    let label = |i: &usize| match bars.len().checked_sub(i + 1).and_then(|i| bars.get(i)) {
        Some((r, _)) => format!("{} / {}", r.name, r.peer.as_deref().unwrap_or_default()),
        None => String::new(),
    };
    chart.configure_mesh().disable_y_mesh().y_labels(bars.len()).y_label_formatter(&label).x_labels(9).draw()?;
    chart.draw_series(bars.iter().rev().enumerate().map(|(i, (_, ratio))| {
        let (low, high) = if *ratio < 1.0 { (*ratio, 1.0) } else { (1.0, *ratio) };
        let color = if *ratio < 1.0 { RGBColor(200, 80, 60) } else { RGBColor(50, 120, 180) };
        Rectangle::new([(low.max(0.1), i), (high.min(10.0), i + 1)], color.filled())
    }))?;
    root.present()?;
    Ok(())
}
