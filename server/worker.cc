// A worker's turn of the loop, and the ways into its thread.
#include "server/worker.h"

#include "platform/clock.h"
#include "platform/thread.h"

namespace hawser::server {

Result<std::unique_ptr<Worker>> Worker::create(Parts parts) {
  std::unique_ptr<Worker> worker(new Worker(parts.id));
  Worker* self = worker.get();
  if (!parts.loop) {
    auto loop = EventLoop::create();
    if (!loop) return loop.error();
    self->own_loop_ = std::move(*loop);
  }
  self->loop_ = parts.loop ? parts.loop : self->own_loop_.get();
  self->endpoint_ = std::move(parts.endpoint);
  if (parts.exchange) {
    self->door_ = std::make_unique<Door>(*parts.exchange, parts.id, std::move(parts.wake));
    auto inbox = Inbox::create(*self->loop_, [self] { self->pump_->on_door(); });
    if (!inbox) return inbox.error();
    self->inbox_ = std::move(*inbox);
  }
  self->pump_ = std::make_unique<Pump>(*self->loop_, *self->endpoint_, *parts.tun, std::move(parts.sockets), self->door_.get());
  self->tell_ = std::move(parts.tell);
  self->chores_ = std::move(parts.chores);
  self->timer_ = self->loop_->make_timer([self] { self->endpoint_->on_timer(now()); });
  self->hook_ = self->loop_->before_sleep([self] { self->turn(); });
  return worker;
}

Worker::~Worker() {
  if (thread_.joinable()) stop(wire::CloseReason::shutdown);
}

// Before the loop sleeps: what the engine wants told, answered, sent, and when it wants to be woken.
void Worker::turn() {
  const Time at = now();
  tell_events();
  const bool again = chores_ && chores_(at);
  pump_->flush(at);
  tell_events();
  timer_.set_deadline(again ? at : endpoint_->next_timeout());
}

void Worker::tell_events() {
  Event event;
  while (endpoint_->poll_event(event)) tell_(*this, event);
}

Status Worker::start() {
  auto thread = start_thread("worker-" + std::to_string(id_), [this] { loop_->run(); });
  if (!thread) return thread.error();
  thread_ = std::move(*thread);
  return Done{};
}

void Worker::stop(wire::CloseReason reason) {
  if (!thread_.joinable()) return say_goodbye(reason);
  post([reason](Worker& w) {
    w.say_goodbye(reason);
    w.loop_->stop();
  });
  thread_.join();
}

void Worker::say_goodbye(wire::CloseReason reason) {
  const Time at = now();
  endpoint_->close_all(reason, at);
  pump_->flush(at);  // the clients hear it now instead of finding out
}

void Worker::post(std::function<void(Worker&)> work) {
  if (!inbox_) return work(*this);
  inbox_->post([this, run = std::move(work)] { run(*this); });
}

WorkerSnapshot Worker::snapshot(Time now) const {
  return {endpoint_->info(), endpoint_->sessions(now), pump_->counters(), door_ ? door_->counters() : Door::Counters{}, pump_->kernel_drops(),
          pump_->offload()};
}

}  // namespace hawser::server
