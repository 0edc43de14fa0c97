using System;

namespace GameApi
{
    /// <summary>
    /// When a call is sent again. Only calls that are safe to repeat are: GET, PUT and DELETE, after a network
    /// error, 429, 502, 503 or 504. POST and PATCH never are.
    /// </summary>
    public sealed class RetryPolicy
    {
        private readonly Random random = new Random();

        /// <summary>How often a call is sent at most, the first time included. 1 is never again.</summary>
        public int MaxAttempts { get; set; } = 4;

        /// <summary>The longest wait before the second attempt. It doubles with each further attempt.</summary>
        public TimeSpan BaseDelay { get; set; } = TimeSpan.FromMilliseconds(250);

        /// <summary>The longest wait between two attempts, if the service does not ask for more.</summary>
        public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);

        /// <summary>
        /// The longest wait that the service may ask for by <c>Retry-After</c>. If it asks for more, the call fails
        /// at once, and <see cref="GameApiException.RetryAfter"/> has the time.
        /// </summary>
        public TimeSpan MaxRetryAfter { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>How long to wait before the next attempt, or null if there is none.</summary>
        internal TimeSpan? DelayAfter(int attempt, string method, GameApiException failure)
        {
            TimeSpan asked = failure.RetryAfter ?? TimeSpan.Zero;
            if (attempt >= MaxAttempts || !IsRepeatable(method) || !IsPassing(failure) || asked > MaxRetryAfter)
            {
                return null;
            }
            double longest = Math.Min(BaseDelay.TotalSeconds * Math.Pow(2, attempt - 1), MaxDelay.TotalSeconds);
            // Half of the wait is random, so that clients that failed together do not come back together.
            return asked + TimeSpan.FromSeconds(longest * (0.5 + (0.5 * NextRandom())));
        }

        private static bool IsRepeatable(string method) =>
            method == "GET" || method == "PUT" || method == "DELETE";

        private static bool IsPassing(GameApiException failure) =>
            failure is GameApiNetworkException || failure.Status == 429 || failure.Status == 502
            || failure.Status == 503 || failure.Status == 504;

        private double NextRandom()
        {
            lock (random)
            {
                return random.NextDouble();
            }
        }
    }
}
