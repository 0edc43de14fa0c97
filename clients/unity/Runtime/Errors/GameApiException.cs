using System;

namespace GameApi
{
    /// <summary>
    /// A call that failed. <see cref="Code"/> says why: compare it with <see cref="ErrorCodes"/>, and expect codes
    /// that this client does not know.
    /// </summary>
    public class GameApiException : Exception
    {
        internal GameApiException(string code, string detail, Exception inner = null)
            : base(code + ": " + detail, inner)
        {
            Code = code;
            Detail = detail;
        }

        internal GameApiException(TransportResponse response, string code, string detail, Exception inner = null)
            : base(Describe(response, code, detail), inner)
        {
            Status = response.Status;
            Code = code;
            Detail = detail;
            RequestId = response.Header("X-Request-ID");
            RetryAfter = GameApi.RetryAfter.Read(response, DateTimeOffset.UtcNow);
            ResponseBody = response.Body;
        }

        /// <summary>The HTTP status, or 0 if no response arrived.</summary>
        public int Status { get; }

        /// <summary>
        /// The code of the service; <see cref="ErrorCodes.UnexpectedResponse"/> if the response is none of the
        /// service, like the page of a proxy; or <see cref="ErrorCodes.NetworkError"/>.
        /// </summary>
        public string Code { get; }

        /// <summary>What happened, for people.</summary>
        public string Detail { get; }

        /// <summary>The id of the request in the log of the service, or null.</summary>
        public string RequestId { get; }

        /// <summary>How long to wait before the next try, or null if the response does not say it.</summary>
        public TimeSpan? RetryAfter { get; }

        /// <summary>The problem document, or null if the response has none.</summary>
        public Problem Problem { get; private set; }

        /// <summary>The body of the response as it came, or null.</summary>
        public string ResponseBody { get; }

        /// <summary>
        /// True if the call may have changed something all the same, because an attempt of it ended without a
        /// response or with a status of 500 or more. Read the resource to know whether it has.
        /// </summary>
        public bool OutcomeUnknown { get; internal set; }

        internal static GameApiException From(TransportResponse response)
        {
            Problem problem = Problem.ReadOrNull(response.Body);
            if (problem == null)
            {
                bool isRedirection = response.Status >= 300 && response.Status < 400;
                return Unexpected(
                    response,
                    isRedirection ? "The client follows no redirection." : "The response is not a problem document.");
            }
            return new GameApiException(response, problem.Code, problem.Detail) { Problem = problem };
        }

        internal static GameApiException Unexpected(
            TransportResponse response, string detail, Exception inner = null) =>
            new GameApiException(response, ErrorCodes.UnexpectedResponse, detail, inner);

        private static string Describe(TransportResponse response, string code, string detail)
        {
            string requestId = response.Header("X-Request-ID");
            string request = requestId == null ? string.Empty : " (request " + requestId + ")";
            return response.Status + " " + code + ": " + detail + request;
        }
    }
}
