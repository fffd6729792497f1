// EventLoop on libev; the only file that includes ev.h. Deadlines are timerfds, for libev's own timers round to
// milliseconds and run on another clock.
#include "platform/loop.h"

#include <ev.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/fd.h"

namespace hawser {
namespace {

// Items are shared, so that a callback may destroy its own handle: the dispatchers hold a second reference meanwhile.
struct FdItem final : EventLoop::Item, std::enable_shared_from_this<FdItem> {
  struct ev_loop* loop = nullptr;
  ev_io io{};
  Interest interest = Interest::none;
  std::function<void(EventLoop::Ready)> callback;

  static void dispatch(struct ev_loop*, ev_io* io, int events) {
    const auto self = static_cast<FdItem*>(io->data)->shared_from_this();
    self->callback({(events & EV_READ) != 0, (events & EV_WRITE) != 0});
  }
  void set(Interest wanted) {
    if (wanted == interest) return;
    interest = wanted;
    const auto bits = static_cast<unsigned>(wanted);
    const int events = ((bits & 1u) != 0 ? EV_READ : 0) | ((bits & 2u) != 0 ? EV_WRITE : 0);
    ev_io_stop(loop, &io);
    ev_io_set(&io, io.fd, events);
    if (events != 0) ev_io_start(loop, &io);
  }
  void stop() override { set(Interest::none); }
};

struct TimerItem final : EventLoop::Item, std::enable_shared_from_this<TimerItem> {
  struct ev_loop* loop = nullptr;
  ev_io io{};
  UniqueFd fd;
  Time deadline = Time::infinite();
  std::function<void()> callback;

  static void dispatch(struct ev_loop*, ev_io* io, int) {
    const auto self = static_cast<TimerItem*>(io->data)->shared_from_this();
    uint64_t expirations = 0;
    // Nothing to read: the deadline was moved after the loop saw the old one expire.
    if (::read(self->fd.get(), &expirations, sizeof expirations) != static_cast<ssize_t>(sizeof expirations)) return;
    self->deadline = Time::infinite();
    self->callback();
  }
  void set(Time wanted) {
    if (wanted == deadline) return;
    deadline = wanted;
    itimerspec spec{};
    if (wanted != Time::infinite()) {
      // Zero would disarm: a deadline long past fires at the first nanosecond instead.
      const int64_t ns = std::max<int64_t>(wanted.ns, 1);
      spec.it_value.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
      spec.it_value.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    }
    ::timerfd_settime(fd.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  }
  void stop() override { ev_io_stop(loop, &io); }
};

struct SignalItem final : EventLoop::Item, std::enable_shared_from_this<SignalItem> {
  struct ev_loop* loop = nullptr;
  ev_signal watcher{};
  std::function<void()> callback;

  static void dispatch(struct ev_loop*, ev_signal* watcher, int) {
    static_cast<SignalItem*>(watcher->data)->shared_from_this()->callback();
  }
  void stop() override { ev_signal_stop(loop, &watcher); }
};

struct HookItem final : EventLoop::Item, std::enable_shared_from_this<HookItem> {
  struct ev_loop* loop = nullptr;
  ev_prepare watcher{};
  std::function<void()> callback;

  static void dispatch(struct ev_loop*, ev_prepare* watcher, int) {
    static_cast<HookItem*>(watcher->data)->shared_from_this()->callback();
  }
  void stop() override { ev_prepare_stop(loop, &watcher); }
};

// libev's own initialisers are C macros with casts that our warnings refuse; these set the same fields.
template <typename Watcher>
void init(Watcher& watcher, void (*dispatch)(struct ev_loop*, Watcher*, int), void* item) {
  watcher.active = 0;
  watcher.pending = 0;
  watcher.priority = 0;
  watcher.data = item;
  watcher.cb = dispatch;
}

}  // namespace

struct EventLoop::Impl {
  struct ev_loop* loop = nullptr;
  ev_periodic far_away{};

  ~Impl() {
    if (loop != nullptr) ev_loop_destroy(loop);
  }

  // libev wakes up every minute to see whether the wall clock was set, unless it has a periodic watcher: then the
  // kernel tells it, and an idle client sleeps as long as nothing is due.
  void sleep_long() {
    constexpr double kTenYears = 3.2e8;
    init<ev_periodic>(
        far_away, [](struct ev_loop*, ev_periodic*, int) {}, nullptr);
    ev_periodic_set(&far_away, ev_time() + kTenYears, 0., nullptr);
    ev_periodic_start(loop, &far_away);
    ev_unref(loop);  // does not keep run() from returning
  }
};

EventLoop::Handle& EventLoop::Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    item_ = std::move(other.item_);
  }
  return *this;
}

void EventLoop::Handle::reset() {
  if (item_ != nullptr) item_->stop();
  item_.reset();
}

void EventLoop::FdWatch::set_interest(Interest interest) {
  if (item_ != nullptr) static_cast<FdItem&>(*item_).set(interest);
}

void EventLoop::Timer::set_deadline(Time deadline) {
  if (item_ != nullptr) static_cast<TimerItem&>(*item_).set(deadline);
}

bool EventLoop::Timer::armed() const {
  return item_ != nullptr && static_cast<const TimerItem&>(*item_).deadline != Time::infinite();
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  // Not libev's default loop: that one would reap our child processes (nft) behind our back.
  auto impl = std::make_unique<Impl>();
  impl->loop = ev_loop_new(static_cast<unsigned>(EVBACKEND_EPOLL) | static_cast<unsigned>(EVFLAG_NOENV));
  if (impl->loop == nullptr) {
    return Error{ExitCode::unexpected, std::string("cannot make an event loop (epoll): ") + std::strerror(errno)};
  }
  impl->sleep_long();
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(impl)));
}

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::~EventLoop() = default;

EventLoop::FdWatch EventLoop::watch_fd(int fd, Interest interest, std::function<void(Ready)> callback) {
  auto item = std::make_shared<FdItem>();
  item->loop = impl_->loop;
  item->callback = std::move(callback);
  init(item->io, &FdItem::dispatch, item.get());
  ev_io_set(&item->io, fd, 0);
  item->set(interest);
  FdWatch watch;
  watch.item_ = std::move(item);
  return watch;
}

EventLoop::Timer EventLoop::make_timer(std::function<void()> callback) {
  auto item = std::make_shared<TimerItem>();
  item->loop = impl_->loop;
  item->callback = std::move(callback);
  item->fd.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  init(item->io, &TimerItem::dispatch, item.get());
  ev_io_set(&item->io, item->fd.get(), EV_READ);
  if (item->fd) ev_io_start(impl_->loop, &item->io);
  Timer timer;
  timer.item_ = std::move(item);
  return timer;
}

EventLoop::SignalWatch EventLoop::on_signal(Signal signal, std::function<void()> callback) {
  auto item = std::make_shared<SignalItem>();
  item->loop = impl_->loop;
  item->callback = std::move(callback);
  init(item->watcher, &SignalItem::dispatch, item.get());
  const int number = signal == Signal::interrupt ? SIGINT : signal == Signal::terminate ? SIGTERM : SIGHUP;
  ev_signal_set(&item->watcher, number);
  ev_signal_start(impl_->loop, &item->watcher);
  SignalWatch watch;
  watch.item_ = std::move(item);
  return watch;
}

EventLoop::Hook EventLoop::before_sleep(std::function<void()> callback) {
  auto item = std::make_shared<HookItem>();
  item->loop = impl_->loop;
  item->callback = std::move(callback);
  init(item->watcher, &HookItem::dispatch, item.get());
  ev_prepare_start(impl_->loop, &item->watcher);
  Hook hook;
  hook.item_ = std::move(item);
  return hook;
}

void EventLoop::run() {
  ev_run(impl_->loop, 0);
}

void EventLoop::run_once(bool wait) {
  ev_run(impl_->loop, wait ? EVRUN_ONCE : EVRUN_NOWAIT);
}

void EventLoop::stop() {
  ev_break(impl_->loop, EVBREAK_ALL);
}

}  // namespace hawser
