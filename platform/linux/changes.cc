// Each kind of change: how it is made, and how exactly it is taken back.
#include "platform/linux/changes.h"

#include <linux/rtnetlink.h>
#include <sys/stat.h>

#include <algorithm>

#include "platform/files.h"
#include "platform/linux/oserror.h"
#include "platform/linux/rtnl.h"
#include "platform/netlink.h"
#include "platform/nft.h"
#include "platform/sysctl.h"

namespace hawser {
namespace {

Result<Outcome> done_or(const Status& status) {
  if (!status) return status.error();
  return Outcome::done;
}

Result<Outcome> unmake_file(const FileChange& file, const Before& before) {
  if (!file_exists(file.path)) return Outcome::already_gone;
  const Result<std::string> there = read_file(file.path);
  if (!there) return there.error();
  if (*there != file.content) return Outcome::already_gone;  // somebody wrote it after us: his word stands
  return done_or(before.text ? write_file_atomic(file.path, *before.text, before.mode) : remove_file(file.path));
}

Result<Outcome> unmake_sysctl(const SysctlChange& sysctl, const Before& before) {
  const Result<std::string> there = get_sysctl(sysctl.key);
  if (!there || *there != sysctl.value || !before.text) return Outcome::already_gone;
  return done_or(set_sysctl(sysctl.key, *before.text));
}

Result<Outcome> unmake_tun(const TunChange& tun) {
  const Result<std::vector<Interface>> all = list_interfaces();
  if (!all) return all.error();
  const bool ours = std::any_of(all->begin(), all->end(), [&](const Interface& i) {
    return i.index == tun.index && i.name == tun.name && i.kind == "tun";
  });
  if (!ours) return Outcome::already_gone;
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  RtnlMessage message(RTM_DELLINK, 0);
  message.extra<ifinfomsg>()->ifi_index = static_cast<int>(tun.index);
  const RtnlAnswer answer = rtnl->request(message.header());
  if (answer.error == ENODEV) return Outcome::already_gone;
  if (answer.error != 0) return os_error(ExitCode::system_integration, "cannot remove " + tun.name, answer.error);
  return Outcome::done;
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

std::string to_command(const SystemChange& change) {
  return std::visit(Overloaded{[](const Rule& rule) { return rule.to_command(); },
                               [](const Route& route) { return route.to_command(); },
                               [](const NftTable& table) {
                                 const auto lines = std::count(table.ruleset.begin(), table.ruleset.end(), '\n');
                                 return "nft table " + table.family + " " + table.name + " (" + std::to_string(lines) +
                                        " lines)";
                               },
                               [](const FileChange& file) { return "write " + file.path; },
                               [](const SysctlChange& sysctl) {
                                 std::string key = sysctl.key;
                                 std::replace(key.begin(), key.end(), '/', '.');
                                 return "sysctl -w " + key + "=" + sysctl.value;
                               },
                               [](const TunChange& tun) { return "ip tuntap add dev " + tun.name + " mode tun"; }},
                    change);
}

Result<Before> look(const SystemChange& change) {
  Before before;
  if (const auto* file = std::get_if<FileChange>(&change); file != nullptr && file_exists(file->path)) {
    const Result<std::string> content = read_file(file->path);
    if (!content) return content.error();
    before.text = *content;
    struct stat info {};
    before.mode = ::stat(file->path.c_str(), &info) == 0 ? info.st_mode & 07777u : 0644u;
  }
  if (const auto* sysctl = std::get_if<SysctlChange>(&change); sysctl != nullptr) {
    const Result<std::string> value = get_sysctl(sysctl->key);
    if (!value) return value.error();
    before.text = *value;
  }
  return before;
}

Result<Outcome> make(const SystemChange& change) {
  return std::visit(
      Overloaded{[](const Rule& rule) { return add_rule(rule); }, [](const Route& route) { return add_route(route); },
                 [](const NftTable& table) { return done_or(run_nft(table.ruleset)); },
                 [](const FileChange& file) { return done_or(write_file_atomic(file.path, file.content, file.mode)); },
                 [](const SysctlChange& sysctl) -> Result<Outcome> {
                   const Result<std::string> there = get_sysctl(sysctl.key);
                   if (there && *there == sysctl.value) return Outcome::already_there;
                   return done_or(set_sysctl(sysctl.key, sysctl.value));
                 },
                 [](const TunChange&) -> Result<Outcome> { return Outcome::done; }},
      change);
}

Result<Outcome> unmake(const SystemChange& change, const Before& before) {
  return std::visit(
      Overloaded{[](const Rule& rule) { return delete_rule(rule); },
                 [](const Route& route) { return delete_route(route); },
                 [](const NftTable& table) { return done_or(delete_nft_table(table.family, table.name)); },
                 [&](const FileChange& file) { return unmake_file(file, before); },
                 [&](const SysctlChange& sysctl) { return unmake_sysctl(sysctl, before); },
                 [](const TunChange& tun) { return unmake_tun(tun); }},
      change);
}

bool survives_reboot(const SystemChange& change) {
  return std::holds_alternative<FileChange>(change);
}

}  // namespace hawser
