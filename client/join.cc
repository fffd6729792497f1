// vpn-join: read the invite, make the key, enrol, write the profile. In this order: the key is on disk before anything
// is sent, so an answer that gets lost costs nothing; the profile is written last, so a failure leaves none.
#include "client/join.h"

#include "client/enrolment.h"
#include "client/instance.h"
#include "client/keys.h"
#include "common/config/invite.h"
#include "common/config/names.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/log.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

// What is known before the server is asked: the profile to be, and the token that lets us in.
struct Offer {
  Profile profile;
  std::optional<std::array<uint8_t, 16>> token;
};

Result<std::string> read_invite(const JoinOptions& options) {
  constexpr std::string_view kFile = "file:";
  if (options.source.rfind(kFile, 0) == 0) {
    const std::string path = options.source.substr(kFile.size());
    if (!file_exists(path)) return Error{ExitCode::configuration, "there is no file " + path};
    return read_file(path, kMaxInviteText);
  }
  if (options.source == "-" && is_terminal(0)) print_err("paste the invite, then Enter\n");
  return read_secret_line("Invite (from: vpn-server invite NAME): ");
}

Result<Offer> offer_of_invite(const JoinOptions& options) {
  auto text = read_invite(options);
  if (!text) return text.error();
  auto invite = decode_invite(*text);
  wipe(*text);
  if (!invite) return invite.error();
  const UnixTime clock{wall_seconds()};
  if (invite->expired(clock)) {
    return Error{ExitCode::refused, "this invite expired at " + format_utc(invite->expires) +
                                        " (this machine's clock says " + format_utc(clock) +
                                        "). Ask for a new one; on the server: vpn-server invite NAME"};
  }
  Offer offer;
  offer.profile.endpoints = invite->endpoints;
  offer.profile.server_public_key = invite->server_public_key;
  offer.token = invite->token;
  return offer;
}

Result<Offer> offer_of_options(const JoinOptions& options) {
  Offer offer;
  auto endpoint = HostPort::parse(options.server);
  if (!endpoint) return Error{ExitCode::usage, "--server: " + endpoint.error().message};
  const auto key = PublicKey::parse(options.server_key);
  if (!key)
    return Error{ExitCode::usage,
                 "--server-key is not a public key: 44 characters, as the server prints it (vpn-server status)"};
  offer.profile.endpoints = {*endpoint};
  offer.profile.server_public_key = *key;
  return offer;
}

// Where the key is while we do not know yet whether the server wants it.
struct KeyPlace {
  std::string final_path;
  std::string path;   // equal to final_path, or beside it when that one is still in use
  bool made = false;  // by this run
};

KeyPlace key_place(const JoinOptions& options, const Instance& instance, bool replaces) {
  KeyPlace place;
  place.final_path = options.common.config_dir + "/keys/" + instance.name + ".key";
  // An invite is for a new key; the old one keeps working until the server has taken the new one. A server that knows
  // us by our key wants that very key.
  const bool new_key = replaces && options.server.empty() && file_exists(place.final_path);
  place.path = new_key ? place.final_path + ".new" : place.final_path;
  return place;
}

// The old profile and key under names that say when they were put aside.
Status put_aside(const Instance& instance, const KeyPlace& key) {
  const std::string suffix = ".bak-" + format_utc(UnixTime{wall_seconds()});
  if (file_exists(instance.file)) {
    if (auto ok = rename_file(instance.file, instance.file + suffix); !ok) return ok;
  }
  if (key.path == key.final_path) return Done{};
  if (auto ok = rename_file(key.final_path, key.final_path + suffix); !ok) return ok;
  return rename_file(key.path, key.final_path);
}

std::string addresses(const wire::AcceptPayload& accept) {
  std::string text;
  for (const IpAddress& a : {accept.inner_v4, accept.inner_v6}) {
    if (a.is_set()) text += (text.empty() ? "" : ", ") + a.to_string();
  }
  return text;
}

std::string summary(const Instance& instance, const KeyPlace& key, const EnrolmentResult& result) {
  std::string text =
      instance.name + ": enrolled at " + result.server.to_string() + " as " + addresses(result.accept) + "\n";
  text += "  wrote  " + instance.file + ", " + key.final_path + "\n";
  size_t width = 0;
  for (const LinkResult& l : result.links) width = std::max(width, l.interface.size());
  for (const LinkResult& l : result.links) {
    std::string name = l.interface, type = l.type;
    name.resize(width, ' ');
    type.resize(std::max<size_t>(type.size(), 8), ' ');
    char rtt[32];
    std::snprintf(rtt, sizeof rtt, "%5.0f ms", l.rtt ? l.rtt->to_millis() : 0.0);
    text += "  " + name + "  " + type + "  " + (l.rtt ? rtt : "    -      " + l.text) + "\n";
  }
  return text + "Next: sudo vpn-up " + instance.name + "\n";
}

Result<EnrolmentResult> enrol(const JoinOptions& options, const Instance& instance, const Offer& offer,
                              const StaticKeyPair& key) {
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  Log log = Log::to_stderr(options.common.verbosity > 0 ? LogLevel::debug : LogLevel::error);
  Enrolment enrolment(**loop, log, {.profile_name = instance.name, .profile = offer.profile, .token = offer.token},
                      key);
  return enrolment.run();
}

}  // namespace

Status run_join(const JoinOptions& options) {
  if (!init()) return Error{ExitCode::unexpected, "libsodium does not start"};
  protect_process_memory();
  auto instance = instance_of(options.common, options.name);
  if (!instance) return instance.error();
  const bool replaces = file_exists(instance->file);
  if (replaces && !options.force) {
    return Error{
        ExitCode::conflict,
        instance->file +
            " exists already. Choose another name, or replace it (the old one is kept as a backup): vpn-join " +
            options.name + " --force"};
  }
  auto offer = options.server.empty() ? offer_of_invite(options) : offer_of_options(options);
  if (!offer) return offer.error();
  offer->profile.private_key_file = "keys/" + instance->name + ".key";
  offer->profile.ignore = default_ignore();

  if (auto ok = make_directories(options.common.config_dir, 0755); !ok) return ok;
  KeyPlace place = key_place(options, *instance, replaces);
  auto key = load_or_make_key(place.path, place.made);
  if (!key) return key.error();
  if (!options.server.empty() && place.made) {
    print_err("vpn-join: made " + place.path +
              ". The server must know its public key first; on the server:\n"
              "  vpn-server init --allow-key NAME=" +
              key->public_key().to_base64() + "\n");
  }
  if (!options.common.quiet && is_terminal(2))
    print_err("asking " + offer->profile.endpoints.front().to_string() + " ...\n");
  auto result = enrol(options, *instance, *offer, *key);
  if (!result) {
    // A refused key is of no use; one that got no answer may have been accepted, and the next try needs it.
    if (result.error().code == ExitCode::refused && place.made) (void)remove_file(place.path);
    return result.error();
  }
  if (auto ok = put_aside(*instance, place); !ok) return ok;
  if (auto ok = write_file_atomic(instance->file, render(offer->profile)); !ok) return ok;
  // Addresses that another server announced under this name.
  if (auto ok = remove_file(instance->endpoints_file()); !ok) return ok;
  if (!options.common.quiet) print_out(summary(*instance, place, *result));
  return Done{};
}

}  // namespace hawser::client
