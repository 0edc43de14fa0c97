// The few types of Unity that the package uses, so that the code for Unity can be compiled without Unity. They have
// the signatures of Unity 2021.3 and send nothing: this finds wrong names and types, and shows how a request is set up.
using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public class MonoBehaviour
    {
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class SerializeField : Attribute
    {
    }

    public static class Debug
    {
        public static void Log(object message)
        {
        }

        public static void LogError(object message)
        {
        }
    }

    public static class Time
    {
        public static double realtimeSinceStartupAsDouble => 0;
    }

    public class AsyncOperation
    {
        public event Action<AsyncOperation> completed
        {
            add { value(this); }
            remove { }
        }
    }
}

namespace UnityEngine.Networking
{
    public class UnityWebRequestAsyncOperation : AsyncOperation
    {
    }

    public class UploadHandler : IDisposable
    {
        public string contentType { get; set; }

        public virtual void Dispose()
        {
        }
    }

    public sealed class UploadHandlerRaw : UploadHandler
    {
        public UploadHandlerRaw(byte[] data)
        {
        }
    }

    public class DownloadHandler : IDisposable
    {
        public string text => null;

        public virtual void Dispose()
        {
        }
    }

    public sealed class DownloadHandlerBuffer : DownloadHandler
    {
    }

    public class UnityWebRequest : IDisposable
    {
        public UnityWebRequest(string url, string method)
        {
            Last = this;
        }

        /// <summary>The latest request, for the tests.</summary>
        public static UnityWebRequest Last { get; private set; }

        /// <summary>The outcome of all requests, for the tests.</summary>
        public static Result NextResult { get; set; } = Result.Success;

        /// <summary>The status of all responses, for the tests.</summary>
        public static long NextStatus { get; set; }

        public enum Result
        {
            InProgress,
            Success,
            ConnectionError,
            ProtocolError,
            DataProcessingError,
        }

        public UploadHandler uploadHandler { get; set; }

        public DownloadHandler downloadHandler { get; set; }

        public int timeout { get; set; }

        public int redirectLimit { get; set; } = 32;

        public Result result => NextResult;

        public long responseCode => NextStatus;

        public string error => "an error";

        public void SetRequestHeader(string name, string value)
        {
        }

        public Dictionary<string, string> GetResponseHeaders() => null;

        public UnityWebRequestAsyncOperation SendWebRequest() => new UnityWebRequestAsyncOperation();

        public void Abort()
        {
        }

        public void Dispose()
        {
        }
    }
}
