using System.Collections.Generic;

namespace GameApi
{
    /// <summary>One HTTP request.</summary>
    public sealed class TransportRequest
    {
        internal TransportRequest(string method, string url, string body)
        {
            Method = method;
            Url = url;
            Body = body;
        }

        /// <summary>The method, for example <c>GET</c>.</summary>
        public string Method { get; }

        /// <summary>The absolute URL, with all that needs it escaped.</summary>
        public string Url { get; }

        /// <summary>The body as JSON, to be sent as UTF-8 with <c>application/json</c>; or null.</summary>
        public string Body { get; }

        /// <summary>The headers, without <c>Content-Type</c>. A transport may add its own.</summary>
        public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>();
    }
}
