using System;

namespace GameApi
{
    /// <summary>The attempts to send one request.</summary>
    internal sealed class Attempts
    {
        private readonly TransportRequest request;
        private readonly RetryPolicy policy;
        private int failed;
        private bool tokenWasRefused;
        private bool outcomeUnknown;

        internal Attempts(TransportRequest request, RetryPolicy policy)
        {
            this.request = request;
            this.policy = policy;
        }

        /// <summary>Whether another token may help. This is so once: the next refusal is final.</summary>
        internal bool MayReplaceToken(GameApiException failure)
        {
            bool isFirst = failure.Status == 401 && !tokenWasRefused;
            tokenWasRefused |= isFirst;
            return isFirst;
        }

        /// <summary>Whether a deletion finds nothing because an earlier attempt may have deleted the player.</summary>
        internal bool HasDeleted(GameApiException failure) =>
            outcomeUnknown && request.Method == "DELETE" && failure.Code == ErrorCodes.PlayerNotFound;

        /// <summary>How long to wait before the next attempt, or null if the failure is final.</summary>
        internal TimeSpan? DelayAfter(GameApiException failure)
        {
            bool isWrite = request.Method != "GET";
            outcomeUnknown |= isWrite && (failure is GameApiNetworkException || failure.Status >= 500);
            failure.OutcomeUnknown = outcomeUnknown && !IsAnswerToAll(failure);
            failed++;
            return policy.DelayAfter(failed, request, failure);
        }

        /// <summary>
        /// Whether the response answers the attempts before as well. The service gives all attempts with the same
        /// Idempotency-Key the same response, if it has one of these statuses.
        /// </summary>
        private bool IsAnswerToAll(GameApiException failure)
        {
            bool isKept = failure.Status == 404 || failure.Status == 409 || failure.Status == 412
                || failure.Status == 422;
            return request.Method == "POST" && isKept && failure.Code != ErrorCodes.RequestInProgress
                && failure.Code != ErrorCodes.UnexpectedResponse;
        }
    }
}
