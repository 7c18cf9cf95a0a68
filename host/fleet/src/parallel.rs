//! The same for many, a few at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` for each of `items` on at most `at_once` threads, and gives the results in the order
/// of the items.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_once.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_item_is_done_once_and_results_keep_their_order() {
        let items: Vec<usize> = (0..100).collect();
        for at_once in [0, 1, 8, 1000] {
            assert_eq!(
                each(&items, at_once, |item| item * 2),
                (0..200).step_by(2).collect::<Vec<_>>()
            );
        }
        assert_eq!(each(&[] as &[u8], 8, |_| ()), []);
    }

    #[test]
    fn items_are_done_side_by_side_and_not_more_than_asked() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = each(&[(); 12], 4, |()| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            std::thread::current().id()
        });
        assert_eq!(threads.into_iter().collect::<HashSet<_>>().len(), 4);
        assert_eq!(most.into_inner(), 4);
    }
}
