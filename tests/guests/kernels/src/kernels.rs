//! The kernels, the same text for the guest and for native code beside it.

/// What a kernel keeps from batch to batch.
pub(crate) struct State {
    sum: f64,
    lanes: [f64; 4],
    groups: Vec<f64>,
}

impl Default for State {
    fn default() -> Self {
        Self { sum: 0.0, lanes: [0.0; 4], groups: vec![0.0; 1024] }
    }
}

impl State {
    /// One number that depends on all that was computed.
    pub(crate) fn value(&self) -> f64 {
        self.sum + self.lanes.iter().sum::<f64>() + self.groups.iter().sum::<f64>()
    }
}

type Kernel = fn(&mut State, &[i64], &[f64]);

/// All kernels by name.
pub(crate) const ALL: [(&str, Kernel); 5] = [
    ("transfer only", transfer),
    ("branchy sum", branchy_sum),
    ("4-lane sum", four_lane_sum),
    ("sqrt and divide", sqrt_and_divide),
    ("1,024-group sum", group_sum),
];

fn transfer(state: &mut State, k: &[i64], x: &[f64]) {
    state.sum += k.len().min(x.len()) as f64;
}

fn branchy_sum(state: &mut State, k: &[i64], x: &[f64]) {
    for (k, x) in k.iter().zip(x) {
        if k & 3 != 0 {
            state.sum += x;
        }
    }
}

fn four_lane_sum(state: &mut State, _: &[i64], x: &[f64]) {
    for chunk in x.chunks_exact(4) {
        for (lane, x) in state.lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
}

fn sqrt_and_divide(state: &mut State, k: &[i64], x: &[f64]) {
    for (k, x) in k.iter().zip(x) {
        state.sum += x.sqrt() / (*k as f64 + 1.5);
    }
}

fn group_sum(state: &mut State, k: &[i64], x: &[f64]) {
    for (k, x) in k.iter().zip(x) {
        state.groups[(k & 1023) as usize] += x;
    }
}
