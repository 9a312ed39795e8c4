//! Threads for requests that may block. They start on demand and end when idle, so a quiet gateway
//! has none.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests served at once.
const MAX_THREADS: usize = 16;
/// Requests waiting for a thread; more are refused, and the client is told to come back.
const MAX_WAITING: usize = 256;
/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(2);
/// Address space per thread, for handlers that parse deep JSON or talk TLS.
const STACK: usize = 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Clone, Default)]
pub struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// Too many requests wait already.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Pool {
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        let mut state = self.0.lock();
        if state.jobs.len() >= MAX_WAITING {
            return Err(Full);
        }
        state.jobs.push_back(Box::new(job));
        if state.idle >= state.jobs.len() {
            self.0.work.notify_one();
        } else if state.threads < MAX_THREADS {
            let shared = self.0.clone();
            let started = std::thread::Builder::new()
                .name("request".into())
                .stack_size(STACK)
                .spawn(move || shared.serve());
            match started {
                Ok(_) => state.threads += 1,
                // Whoever is running takes the job; with nobody there, the caller hears of it.
                Err(err) => {
                    log::error!("cannot start a request thread: {err}");
                    if state.threads == 0 {
                        state.jobs.pop_back();
                        return Err(Full);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (back, waited) = self
                .work
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_run_at_once_up_to_the_bound_and_then_wait() {
        let pool = Pool::default();
        let (done, finished) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        for i in 0..MAX_THREADS * 2 {
            let (gate, done) = (gate.clone(), done.clone());
            pool.run(move || {
                drop(gate.lock().unwrap());
                done.send(i).unwrap();
            })
            .unwrap();
        }
        assert_eq!(pool.0.lock().threads, MAX_THREADS);
        drop(held);
        let mut all: Vec<usize> = finished.iter().take(MAX_THREADS * 2).collect();
        all.sort_unstable();
        assert_eq!(all, (0..MAX_THREADS * 2).collect::<Vec<_>>());
    }
}
