using System;
using System.Collections.Generic;

namespace GameApi
{
    /// <summary>One HTTP response.</summary>
    public sealed class TransportResponse
    {
        private readonly Dictionary<string, string> headers =
            new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        /// <summary>A response; <paramref name="headers"/> and <paramref name="body"/> may be null.</summary>
        public TransportResponse(int status, IEnumerable<KeyValuePair<string, string>> headers, string body)
        {
            Status = status;
            Body = body ?? string.Empty;
            foreach (KeyValuePair<string, string> header in headers ?? new Dictionary<string, string>())
            {
                this.headers[header.Key] = header.Value;
            }
        }

        /// <summary>The HTTP status.</summary>
        public int Status { get; }

        /// <summary>The body, empty if there is none.</summary>
        public string Body { get; }

        /// <summary>The value of a header, whatever the case of its name; null if there is none.</summary>
        public string Header(string name)
        {
            string value;
            return headers.TryGetValue(name, out value) ? value : null;
        }
    }
}
