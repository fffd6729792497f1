// A NetworkManager of our own for tests, on the system bus as its clients see it: hawser-networkmanager [INTERFACE..]. Reads commands, a
// line each: "INTERFACE metered|portal VALUE" (the numbers of NMMetered and NMConnectivityState), and says "done".
//   hawser-networkmanager forge PATH VALUE    tells everybody on the bus so of the object, without being NetworkManager
#include <poll.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr const char* kDevice = "org.freedesktop.NetworkManager.Device";

struct Device {
  std::string path, name;
  uint32_t metered = 0, connectivity = 4, none = 0;
};
std::vector<std::unique_ptr<Device>> devices;

int get_text(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void* self, sd_bus_error*) {
  const auto* d = static_cast<const Device*>(self);
  // A modem's packets and commands go by different names: here every device is one.
  return sd_bus_message_append(reply, "s", std::strcmp(property, "Interface") == 0 ? "cdc-wdm0" : d->name.c_str());
}

int get_devices(sd_bus_message* m, void*, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(m, &reply);
  sd_bus_message_open_container(reply, 'a', "o");
  for (const auto& d : devices) sd_bus_message_append(reply, "o", d->path.c_str());
  sd_bus_message_close_container(reply);
  const int r = sd_bus_send(nullptr, reply, nullptr);
  sd_bus_message_unref(reply);
  return r;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
const sd_bus_vtable kManagerTable[] = {
    SD_BUS_VTABLE_START(0), SD_BUS_METHOD("GetDevices", "", "ao", get_devices, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};
const sd_bus_vtable kDeviceTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Interface", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("IpInterface", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Metered", "u", nullptr, offsetof(Device, metered), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Ip4Connectivity", "u", nullptr, offsetof(Device, connectivity), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Ip6Connectivity", "u", nullptr, offsetof(Device, none), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END};
#pragma GCC diagnostic pop

void command(sd_bus* bus, const std::string& line) {
  std::istringstream words(line);
  std::string name, what;
  uint32_t value = 0;
  words >> name >> what >> value;
  for (const auto& d : devices) {
    if (d->name != name) continue;
    (what == "metered" ? d->metered : d->connectivity) = value;
    sd_bus_emit_properties_changed(bus, d->path.c_str(), kDevice, what == "metered" ? "Metered" : "Ip4Connectivity", nullptr);
    sd_bus_flush(bus);
    std::puts("done");
    std::fflush(stdout);
  }
}

int forge(sd_bus* bus, const char* path, const char* value) {
  for (int n = 0; n < 100; ++n) {
    sd_bus_message* m = nullptr;
    sd_bus_message_new_signal(bus, &m, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    sd_bus_message_append(m, "sa{sv}as", kDevice, 1, "Metered", "u", static_cast<uint32_t>(std::stoul(value)), 0);
    if (sd_bus_send_to(bus, m, (":1." + std::to_string(n)).c_str(), nullptr) < 0) return 1;
    sd_bus_message_unref(m);
  }
  const int sent = sd_bus_flush(bus);
  sd_bus_close_unref(bus);
  return sent < 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  sd_bus* bus = nullptr;
  if (sd_bus_open_system(&bus) < 0) return 1;
  if (argc == 4 && std::strcmp(argv[1], "forge") == 0) return forge(bus, argv[2], argv[3]);
  sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", kManagerTable, nullptr);
  for (int n = 1; n < argc; ++n) {
    devices.push_back(std::make_unique<Device>());
    Device& d = *devices.back();
    d.path = "/org/freedesktop/NetworkManager/Devices/" + std::to_string(n);
    d.name = argv[n];
    sd_bus_add_object_vtable(bus, nullptr, d.path.c_str(), kDevice, kDeviceTable, &d);
  }
  if (sd_bus_request_name(bus, "org.freedesktop.NetworkManager", 0) < 0) return 1;
  std::puts("running");
  std::fflush(stdout);
  for (;;) {
    while (sd_bus_process(bus, nullptr) > 0) {
    }
    pollfd fds[2] = {{sd_bus_get_fd(bus), POLLIN, 0}, {0, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) return 1;
    if (fds[1].revents == 0) continue;
    std::string line;
    if (!std::getline(std::cin, line)) return 0;
    command(bus, line);
  }
}
