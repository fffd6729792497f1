// The formulas as published, in floating point; kernel variants that differ (integer a_r, l/rtt^2, counted acks) are
// not followed.
#include "common/congestion/coupled.h"

#include <algorithm>

namespace hawser {
namespace {

double sum_of_rates(std::span<const CoupledPath> paths) {
  double sum = 0;
  for (const CoupledPath& p : paths) sum += p.window / p.rtt;
  return sum;
}

// BALIA's a_r: how much faster the fastest path is.
double balia_ratio(std::span<const CoupledPath> paths, size_t own) {
  double fastest = 0;
  for (const CoupledPath& p : paths) fastest = std::max(fastest, p.window / p.rtt);
  return fastest / (paths[own].window / paths[own].rtt);
}

}  // namespace

// RFC 6356, 3: alpha = cwnd_total * max_i(cwnd_i / rtt_i^2) / (sum_i cwnd_i / rtt_i)^2.
double lia_alpha(std::span<const CoupledPath> paths) {
  double total = 0, best = 0;
  for (const CoupledPath& p : paths) {
    total += p.window;
    best = std::max(best, p.window / (p.rtt * p.rtt));
  }
  const double rates = sum_of_rates(paths);
  return total * best / (rates * rates);
}

// min(alpha / cwnd_total, 1 / cwnd_i): never more than a single TCP would take on this path.
double lia_increase(std::span<const CoupledPath> paths, size_t own) {
  double total = 0;
  for (const CoupledPath& p : paths) total += p.window;
  return std::min(lia_alpha(paths) / total, 1 / paths[own].window);
}

// (w_r / rtt_r^2) / (sum_p w_p / rtt_p)^2 + eps_r / w_r. The second term moves windows from the largest paths (M) to
// those that are presumably best (B: the greatest l^2 / rtt) and small.
double olia_increase(std::span<const CoupledPath> paths, size_t own) {
  const CoupledPath& p = paths[own];
  const double rates = sum_of_rates(paths);
  const double first = p.window / (p.rtt * p.rtt) / (rates * rates);
  double largest = 0, best = 0;
  const auto quality = [](const CoupledPath& q) { return q.between_losses * q.between_losses / q.rtt; };
  for (const CoupledPath& q : paths) {
    largest = std::max(largest, q.window);
    best = std::max(best, quality(q));
  }
  // Windows within a datagram of each other are equal, as they would be where windows are whole segments.
  const auto in_m = [&](const CoupledPath& q) { return q.window > largest - 1; };
  const auto in_b_not_m = [&](const CoupledPath& q) { return quality(q) >= best && !in_m(q); };
  const auto m = static_cast<double>(std::count_if(paths.begin(), paths.end(), in_m));
  const auto b = static_cast<double>(std::count_if(paths.begin(), paths.end(), in_b_not_m));
  if (b == 0) return first;
  const auto n = static_cast<double>(paths.size());
  const double epsilon = in_b_not_m(p) ? 1 / (n * b) : in_m(p) ? -1 / (n * m) : 0;
  return first + epsilon / p.window;
}

// x_r / (rtt_r * (sum_k x_k)^2) * (1 + a_r)/2 * (4 + a_r)/5, with x = w / rtt.
double balia_increase(std::span<const CoupledPath> paths, size_t own) {
  const CoupledPath& p = paths[own];
  const double rates = sum_of_rates(paths);
  const double a = balia_ratio(paths, own);
  return p.window / (p.rtt * p.rtt) / (rates * rates) * ((1 + a) / 2) * ((4 + a) / 5);
}

double balia_decrease(std::span<const CoupledPath> paths, size_t own) {
  return paths[own].window / 2 * std::min(balia_ratio(paths, own), 1.5);
}

CoupledController::Paths CoupledController::paths(const CongestionSample& s) const {
  Paths p;
  const auto seconds = [](Duration d) { return std::max(d, Duration::micros(100)).to_seconds(); };
  const std::span<const Sibling> siblings = s.coupling.paths;
  for (size_t i = 0; i < siblings.size() && i < kMaxPaths; ++i) {
    if (i == s.coupling.own || !siblings[i].counts()) continue;
    const Sibling& q = siblings[i];
    p.all[p.count++] = {std::max(static_cast<double>(q.window) / datagram(), 1.0), seconds(q.smoothed_rtt),
                        static_cast<double>(q.bytes_between_losses)};
  }
  if (p.count == kMaxPaths) --p.count;
  p.own = p.count;
  p.all[p.count++] = {window() / datagram(), seconds(s.rtt.smoothed()), static_cast<double>(bytes_between_losses())};
  return p;
}

double LiaController::increase(double acked, const CongestionSample& s) {
  const Paths p = paths(s);
  return acked * lia_increase(p.span(), p.own);
}

double OliaController::increase(double acked, const CongestionSample& s) {
  const Paths p = paths(s);
  return acked * olia_increase(p.span(), p.own);
}

double BaliaController::increase(double acked, const CongestionSample& s) {
  const Paths p = paths(s);
  return acked * balia_increase(p.span(), p.own);
}

double BaliaController::reduced(const CongestionSample& s) {
  const Paths p = paths(s);
  return window() - balia_decrease(p.span(), p.own) * datagram();
}

}  // namespace hawser
