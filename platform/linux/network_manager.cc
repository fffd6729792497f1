// NetworkManager by sd-bus. The bus lets only root call himself by its name and answer for it, but anybody may send signals to
// anybody, whatever the rules that we listen by say: who sends one is checked here.
#include "platform/network_manager.h"

#include <poll.h>
#include <systemd/sd-bus.h>

#include <cstring>
#include <ctime>

#include "platform/clock.h"

namespace hawser {
namespace {

constexpr const char* kService = "org.freedesktop.NetworkManager";
constexpr const char* kManagerPath = "/org/freedesktop/NetworkManager";
constexpr const char* kDevice = "org.freedesktop.NetworkManager.Device";
constexpr const char* kProperties = "org.freedesktop.DBus.Properties";
// NMMetered and NMConnectivityState of its documentation.
enum : uint32_t { kMeteredYes = 1, kMeteredNo = 2, kMeteredGuessYes = 3, kMeteredGuessNo = 4 };
constexpr uint32_t kPortal = 2;
constexpr size_t kMaxDevices = 1024;
constexpr int kMaxPerTurn = 64;  // messages, so that a flood of them cannot hold the packets up

struct Unref {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, Unref>;
using Message = std::unique_ptr<sd_bus_message, Unref>;

// A device as the bus knows it.
struct Known {
  std::string control, ip;  // a modem has two: that of its commands and that of its packets
  uint32_t metered = 0, connectivity4 = 0, connectivity6 = 0;
};

std::optional<bool> metered(uint32_t word) {
  if (word == kMeteredYes || word == kMeteredGuessYes) return true;
  if (word == kMeteredNo || word == kMeteredGuessNo) return false;
  return std::nullopt;
}

// One property of a{sv}; others are passed over. Negative: the message is not what it should be.
int read_property(sd_bus_message* m, Known& known) {
  const char* name = nullptr;
  if (const int r = sd_bus_message_read_basic(m, 's', &name); r <= 0) return r < 0 ? r : -EINVAL;
  uint32_t* number = nullptr;
  std::string* text = nullptr;
  if (std::strcmp(name, "Metered") == 0) number = &known.metered;
  if (std::strcmp(name, "Ip4Connectivity") == 0) number = &known.connectivity4;
  if (std::strcmp(name, "Ip6Connectivity") == 0) number = &known.connectivity6;
  if (std::strcmp(name, "Interface") == 0) text = &known.control;
  if (std::strcmp(name, "IpInterface") == 0) text = &known.ip;
  if (number != nullptr) return sd_bus_message_read(m, "v", "u", number);
  if (text == nullptr) return sd_bus_message_skip(m, "v");
  const char* value = nullptr;
  const int r = sd_bus_message_read(m, "v", "s", &value);
  if (r > 0) *text = value;
  return r;
}

int read_properties(sd_bus_message* m, Known& known) {
  int r = sd_bus_message_enter_container(m, 'a', "{sv}");
  while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
    r = read_property(m, known);
    if (r >= 0) r = sd_bus_message_exit_container(m);
  }
  return r < 0 ? r : sd_bus_message_exit_container(m);
}

class Watch final : public NetworkManager {
 public:
  Watch(EventLoop& loop, Bus bus, std::function<void()> changed) : changed_(std::move(changed)), bus_(std::move(bus)) {
    timer_ = loop.make_timer([this] { process(); });
    watch_ = loop.watch_fd(sd_bus_get_fd(bus_.get()), Interest::read, [this](EventLoop::Ready) { process(); });
    listen(
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
        "arg0='org.freedesktop.NetworkManager'",
        &Watch::on_owner);
    listen(
        "type='signal',sender='org.freedesktop.NetworkManager',interface='org.freedesktop.NetworkManager',"
        "member='DeviceAdded'",
        &Watch::on_added);
    listen(
        "type='signal',sender='org.freedesktop.NetworkManager',interface='org.freedesktop.NetworkManager',"
        "member='DeviceRemoved'",
        &Watch::on_removed);
    listen(
        "type='signal',sender='org.freedesktop.NetworkManager',interface='org.freedesktop.DBus.Properties',"
        "member='PropertiesChanged',arg0='org.freedesktop.NetworkManager.Device'",
        &Watch::on_properties);
    ask_for_devices();
    timer_.set_deadline(now());
  }

  bool asking() const override { return !asked_.empty(); }
  const std::map<std::string, Device>& devices() const override { return devices_; }

 private:
  void listen(const char* rule, sd_bus_message_handler_t handler) {
    sd_bus_add_match_async(bus_.get(), nullptr, rule, handler, nullptr, this);
  }

  // sd-bus calls back in each case: with the answer, an error, or that time is up.
  void call(const char* path, const char* interface, const char* method, const char* argument,
            sd_bus_message_handler_t handler) {
    sd_bus_message* raw = nullptr;
    if (sd_bus_message_new_method_call(bus_.get(), &raw, kService, path, interface, method) < 0) return;
    const Message message(raw);
    sd_bus_message_set_auto_start(raw, 0);
    if (argument != nullptr && sd_bus_message_append(raw, "s", argument) < 0) return;
    uint64_t cookie = 0;
    if (sd_bus_call_async(bus_.get(), nullptr, raw, handler, this, 0) < 0) return;
    if (sd_bus_message_get_cookie(raw, &cookie) >= 0) asked_[cookie] = path;
  }

  // The object that was asked; empty when nobody was.
  std::string answers_for(sd_bus_message* m) {
    uint64_t cookie = 0;
    if (sd_bus_message_get_reply_cookie(m, &cookie) < 0) return {};
    const auto node = asked_.extract(cookie);
    return node.empty() ? std::string() : node.mapped();
  }

  void ask_for_devices() { call(kManagerPath, kService, "GetDevices", nullptr, &Watch::on_devices); }
  void ask_for(const char* path) {
    if (known_.size() + asked_.size() < kMaxDevices) call(path, kProperties, "GetAll", kDevice, &Watch::on_all);
  }

  static int on_devices(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    if (watch.answers_for(m).empty()) return 0;
    const char* path = nullptr;
    if (sd_bus_message_is_method_error(m, nullptr) == 0 && sd_bus_message_enter_container(m, 'a', "o") > 0) {
      watch.owner_ = sender(m);
      watch.known_.clear();
      while (sd_bus_message_read_basic(m, 'o', &path) > 0) watch.ask_for(path);
    }
    watch.tell();
    return 0;
  }

  static int on_all(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    const std::string path = watch.answers_for(m);
    Known known;
    const bool good = sd_bus_message_is_method_error(m, nullptr) == 0 && read_properties(m, known) >= 0;
    if (good && !path.empty()) watch.known_[path] = std::move(known);
    watch.tell();
    return 0;
  }

  static std::string sender(sd_bus_message* m) {
    const char* name = sd_bus_message_get_sender(m);
    return name == nullptr ? std::string() : name;
  }
  bool from_owner(sd_bus_message* m) const { return !owner_.empty() && sender(m) == owner_; }

  // It has gone, or another has taken its place. Until that one has told, what was said last stays: connections, too, stay when
  // it is started anew.
  static int on_owner(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    const char *name = nullptr, *before = nullptr, *after = nullptr;
    if (sender(m) != "org.freedesktop.DBus" || sd_bus_message_read(m, "sss", &name, &before, &after) < 0) return 0;
    watch.owner_.clear();
    if (*after != '\0') watch.ask_for_devices();
    return 0;
  }

  static int on_added(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    const char* path = nullptr;
    if (watch.from_owner(m) && sd_bus_message_read_basic(m, 'o', &path) > 0) watch.ask_for(path);
    return 0;
  }

  static int on_removed(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    const char* path = nullptr;
    if (!watch.from_owner(m) || sd_bus_message_read_basic(m, 'o', &path) <= 0) return 0;
    watch.known_.erase(path);
    watch.tell();
    return 0;
  }

  static int on_properties(sd_bus_message* m, void* self, sd_bus_error*) {
    auto& watch = *static_cast<Watch*>(self);
    const char* path = sd_bus_message_get_path(m);
    if (!watch.from_owner(m) || path == nullptr || sd_bus_message_skip(m, "s") < 0) return 0;
    const auto it = watch.known_.find(path);
    if (it == watch.known_.end()) {
      watch.ask_for(path);
    } else if (read_properties(m, it->second) >= 0) {
      watch.tell();
    }
    return 0;
  }

  // Tells what is new; also that the first answer is complete.
  void tell() {
    if (asking()) return;
    std::map<std::string, Device> devices;
    for (const auto& [path, k] : known_) {
      const std::string& interface = k.ip.empty() ? k.control : k.ip;
      if (interface.empty()) continue;
      Device& d = devices[interface] = {metered(k.metered), k.connectivity4 == kPortal || k.connectivity6 == kPortal};
      // It does not know while it looks at a device anew, which it also does at its own start.
      const auto before = devices_.find(interface);
      if (!d.metered && before != devices_.end()) d.metered = before->second.metered;
    }
    if (told_ && devices == devices_) return;
    told_ = true;
    devices_ = std::move(devices);
    changed_();
  }

  void process() {
    int result = 1;
    for (int n = 0; n < kMaxPerTurn && result > 0; ++n) result = sd_bus_process(bus_.get(), nullptr);
    if (result < 0) return give_up();
    const int events = sd_bus_get_events(bus_.get());
    if (events < 0) return give_up();
    watch_.set_interest((events & POLLOUT) != 0 ? Interest::read_write : Interest::read);
    uint64_t due = UINT64_MAX;  // microseconds of CLOCK_MONOTONIC, which stands still in sleep; the loop's clock does not
    if (sd_bus_get_timeout(bus_.get(), &due) < 0 || due == UINT64_MAX) return timer_.cancel();
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t is = static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
    timer_.set_deadline(now() + Duration::micros(due > is ? static_cast<int64_t>(due - is) : 0));
  }

  // The bus is gone: what was said last stays.
  void give_up() {
    watch_.reset();
    timer_.cancel();
    asked_.clear();
    tell();
  }

  std::function<void()> changed_;
  Bus bus_;
  std::string owner_;                      // its unique name; empty while it does not run
  std::map<std::string, Known> known_;     // by object path
  std::map<uint64_t, std::string> asked_;  // object paths by the question's cookie
  std::map<std::string, Device> devices_;
  bool told_ = false;
  EventLoop::FdWatch watch_;
  EventLoop::Timer timer_;
};

}  // namespace

std::unique_ptr<NetworkManager> NetworkManager::watch(EventLoop& loop, std::function<void()> changed) {
  sd_bus* raw = nullptr;
  if (sd_bus_open_system(&raw) < 0) return nullptr;
  sd_bus_set_exit_on_disconnect(raw, 0);
  return std::make_unique<Watch>(loop, Bus(raw), std::move(changed));
}

void NetworkManager::complete(std::vector<Interface>& interfaces) const {
  for (Interface& i : interfaces) {
    const auto it = devices().find(i.name);
    if (it == devices().end()) continue;
    i.metered = it->second.metered.value_or(i.metered);
    i.portal = it->second.portal;
  }
}

}  // namespace hawser
