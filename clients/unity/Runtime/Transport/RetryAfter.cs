using System;
using System.Globalization;

namespace GameApi
{
    /// <summary>Reads the header <c>Retry-After</c>: seconds, or a date.</summary>
    internal static class RetryAfter
    {
        internal static TimeSpan? Read(TransportResponse response, DateTimeOffset now)
        {
            string text = response.Header("Retry-After")?.Trim();
            int seconds;
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seconds))
            {
                return TimeSpan.FromSeconds(seconds);
            }
            DateTimeOffset date;
            if (!TryReadDate(text, out date))
            {
                return null;
            }
            // The clocks of players' devices are often wrong, so the date of the response is preferred.
            DateTimeOffset sent;
            TimeSpan wait = date - (TryReadDate(response.Header("Date"), out sent) ? sent : now);
            return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
        }

        private static bool TryReadDate(string text, out DateTimeOffset date) =>
            DateTimeOffset.TryParseExact(
                text, "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out date);
    }
}
