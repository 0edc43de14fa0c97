using System;

namespace GameApi
{
    /// <summary>
    /// When a call is sent again. After a network error, 502, 503 or 504 it may have been carried out, so only GET,
    /// PUT and DELETE without a version, and POST with its Idempotency-Key, are repeated. After 429 and
    /// <c>request_in_progress</c>, which come before the service begins with it, every call is.
    /// </summary>
    public sealed class RetryPolicy
    {
        private readonly Random random = new Random();

        /// <summary>How often a call is sent at most, the first time included. 1 is never again.</summary>
        public int MaxAttempts { get; set; } = 4;

        /// <summary>The longest wait before the second attempt. It doubles with each further attempt.</summary>
        public TimeSpan BaseDelay { get; set; } = TimeSpan.FromMilliseconds(200);

        /// <summary>The longest wait between two attempts, if the service does not ask for more.</summary>
        public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);

        /// <summary>
        /// The longest wait that the service may ask for by <c>Retry-After</c>. If it asks for more, the call fails
        /// at once, and <see cref="GameApiException.RetryAfter"/> has the time.
        /// </summary>
        public TimeSpan MaxRetryAfter { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>How long to wait before the next attempt, or null if there is none.</summary>
        internal TimeSpan? DelayAfter(int attempt, TransportRequest request, GameApiException failure)
        {
            TimeSpan asked = failure.RetryAfter ?? TimeSpan.Zero;
            bool isRepeatable = WasRefused(failure) || (IsPassing(failure) && HasSameEffectTwice(request));
            if (attempt >= MaxAttempts || !isRepeatable || asked > MaxRetryAfter)
            {
                return null;
            }
            double longest = Math.Min(BaseDelay.TotalSeconds * Math.Pow(2, attempt - 1), MaxDelay.TotalSeconds);
            // Half of the wait is random, so that clients that failed together do not come back together.
            return asked + TimeSpan.FromSeconds(longest * (0.5 + (0.5 * NextRandom())));
        }

        // If the first attempt made the change, the condition of the next one would fail because of that.
        private static bool HasSameEffectTwice(TransportRequest request) =>
            (request.Method == "GET" || request.Method == "PUT" || request.Method == "DELETE"
                || request.Headers.ContainsKey("Idempotency-Key"))
            && !request.Headers.ContainsKey("If-Match");

        private static bool WasRefused(GameApiException failure) =>
            failure.Status == 429
            || (failure.Status == 409 && failure.Code == ErrorCodes.RequestInProgress);

        private static bool IsPassing(GameApiException failure) =>
            failure is GameApiNetworkException || failure.Status == 502 || failure.Status == 503
            || failure.Status == 504;

        private double NextRandom()
        {
            lock (random)
            {
                return random.NextDouble();
            }
        }
    }
}
